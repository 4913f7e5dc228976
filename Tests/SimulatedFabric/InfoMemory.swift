import CFabric
import Glibc

// What `fi_allocinfo`, `fi_dupinfo` and `fi_freeinfo` are made of: every part is allocated by calloc and strdup, since
// callers put strings of their own into hints.

/// One zeroed value of a C structure.
func allocateZeroed<Value>(_ type: Value.Type) -> UnsafeMutablePointer<Value> {
  guard let memory = calloc(1, MemoryLayout<Value>.size) else { fatalError("out of memory") }
  return memory.assumingMemoryBound(to: Value.self)
}

private func duplicate<Value>(_ original: UnsafeMutablePointer<Value>?) -> UnsafeMutablePointer<Value>? {
  guard let original else { return nil }
  let copy = allocateZeroed(Value.self)
  copy.pointee = original.pointee
  return copy
}

private func duplicate(_ text: UnsafeMutablePointer<CChar>?) -> UnsafeMutablePointer<CChar>? {
  text.flatMap { strdup($0) }
}

private func duplicate(_ bytes: UnsafeMutableRawPointer?, _ count: Int) -> UnsafeMutableRawPointer? {
  guard let bytes, count > 0, let copy = malloc(count) else { return nil }
  return memcpy(copy, bytes, count)
}

/// An info with all its attributes, zeroed.
func allocateInfo() -> UnsafeMutablePointer<fi_info> {
  let info = allocateZeroed(fi_info.self)
  info.pointee.tx_attr = allocateZeroed(fi_tx_attr.self)
  info.pointee.rx_attr = allocateZeroed(fi_rx_attr.self)
  info.pointee.ep_attr = allocateZeroed(fi_ep_attr.self)
  info.pointee.domain_attr = allocateZeroed(fi_domain_attr.self)
  info.pointee.fabric_attr = allocateZeroed(fi_fabric_attr.self)
  return info
}

/// `fi_dupinfo`: a deep copy of one info, not of those that follow it; of nil, an empty one.
func duplicateInfo(_ original: UnsafePointer<fi_info>?) -> UnsafeMutablePointer<fi_info>? {
  guard let original else { return allocateInfo() }
  let copy = allocateZeroed(fi_info.self)
  copy.pointee = original.pointee
  copy.pointee.next = nil
  copy.pointee.src_addr = duplicate(original.pointee.src_addr, original.pointee.src_addrlen)
  copy.pointee.dest_addr = duplicate(original.pointee.dest_addr, original.pointee.dest_addrlen)
  copy.pointee.tx_attr = duplicate(original.pointee.tx_attr)
  copy.pointee.rx_attr = duplicate(original.pointee.rx_attr)
  copy.pointee.ep_attr = duplicate(original.pointee.ep_attr)
  if let endpoint = copy.pointee.ep_attr {
    endpoint.pointee.auth_key = duplicate(endpoint.pointee.auth_key, endpoint.pointee.auth_key_size)?
      .assumingMemoryBound(to: UInt8.self)
  }
  copy.pointee.domain_attr = duplicate(original.pointee.domain_attr)
  if let domain = copy.pointee.domain_attr {
    domain.pointee.name = duplicate(domain.pointee.name)
    domain.pointee.auth_key = duplicate(domain.pointee.auth_key, domain.pointee.auth_key_size)?
      .assumingMemoryBound(to: UInt8.self)
  }
  copy.pointee.fabric_attr = duplicate(original.pointee.fabric_attr)
  if let fabric = copy.pointee.fabric_attr {
    fabric.pointee.name = duplicate(fabric.pointee.name)
    fabric.pointee.prov_name = duplicate(fabric.pointee.prov_name)
  }
  copy.pointee.nic = duplicateNIC(original.pointee.nic)
  return copy
}

private func duplicateNIC(_ original: UnsafeMutablePointer<fid_nic>?) -> UnsafeMutablePointer<fid_nic>? {
  guard let copy = duplicate(original) else { return nil }
  copy.pointee.bus_attr = duplicate(copy.pointee.bus_attr)
  copy.pointee.device_attr = duplicate(copy.pointee.device_attr)
  if let device = copy.pointee.device_attr {
    device.pointee.name = duplicate(device.pointee.name)
    device.pointee.device_id = duplicate(device.pointee.device_id)
    device.pointee.device_version = duplicate(device.pointee.device_version)
    device.pointee.vendor_id = duplicate(device.pointee.vendor_id)
    device.pointee.driver = duplicate(device.pointee.driver)
    device.pointee.firmware = duplicate(device.pointee.firmware)
  }
  copy.pointee.link_attr = duplicate(copy.pointee.link_attr)
  if let link = copy.pointee.link_attr {
    link.pointee.address = duplicate(link.pointee.address)
    link.pointee.network_type = duplicate(link.pointee.network_type)
  }
  return copy
}

/// `fi_freeinfo`: frees an info, all it points to, and those that follow it.
func freeInfoList(_ list: UnsafeMutablePointer<fi_info>?) {
  var next = list
  while let info = next {
    next = info.pointee.next
    free(info.pointee.src_addr)
    free(info.pointee.dest_addr)
    free(info.pointee.tx_attr)
    free(info.pointee.rx_attr)
    free(info.pointee.ep_attr?.pointee.auth_key)
    free(info.pointee.ep_attr)
    free(info.pointee.domain_attr?.pointee.name)
    free(info.pointee.domain_attr?.pointee.auth_key)
    free(info.pointee.domain_attr)
    free(info.pointee.fabric_attr?.pointee.name)
    free(info.pointee.fabric_attr?.pointee.prov_name)
    free(info.pointee.fabric_attr)
    freeNIC(info.pointee.nic)
    free(info)
  }
}

private func freeNIC(_ nic: UnsafeMutablePointer<fid_nic>?) {
  guard let nic else { return }
  if let device = nic.pointee.device_attr {
    free(device.pointee.name)
    free(device.pointee.device_id)
    free(device.pointee.device_version)
    free(device.pointee.vendor_id)
    free(device.pointee.driver)
    free(device.pointee.firmware)
    free(device)
  }
  if let link = nic.pointee.link_attr {
    free(link.pointee.address)
    free(link.pointee.network_type)
    free(link)
  }
  free(nic.pointee.bus_attr)
  free(nic)
}
