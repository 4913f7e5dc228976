import CFabric
import Glibc

/// What endpoints of a simulated network can do. Messages are part of it on paper only.
private let transferCapabilities =
  FI_RMA | FI_READ | FI_WRITE | FI_REMOTE_READ | FI_REMOTE_WRITE | FI_MSG | FI_SEND | FI_RECV
private let otherCapabilities = FI_LOCAL_COMM | FI_REMOTE_COMM

/// `fi_getinfo`: the NICs that fit the hints; nil if none does.
func infoList(
  _ provider: any Provider, _ version: UInt32, _ hints: UnsafePointer<fi_info>?
) -> UnsafeMutablePointer<fi_info>? {
  let options = provider.options
  guard let request = InfoRequest(hints, options) else { return nil }
  var list: UnsafeMutablePointer<fi_info>?
  for nic in (0..<options.nicCount).reversed() where request.accepts(domain: options.domainName(nic)) {
    let info = describe(nic, of: provider, version, request)
    info.pointee.next = list
    list = info
  }
  return list
}

/// What the hints ask for, once it is known that it can be had.
private struct InfoRequest {
  var capabilities: UInt64
  var registration: Int32
  var threading = FI_THREAD_SAFE
  var transmitDepth: Int
  private var domain: String?

  init?(_ hints: UnsafePointer<fi_info>?, _ options: FabricOptions) {
    let available =
      transferCapabilities | otherCapabilities | (options.deviceMemory ? FI_HMEM : 0)
    capabilities = available
    transmitDepth = options.transmitDepth
    var required: Int32 = 0
    if options.virtualAddressing { required |= FI_MR_VIRT_ADDR }
    if options.providerKeys { required |= FI_MR_PROV_KEY }
    if options.localRegistration { required |= FI_MR_LOCAL }
    registration = required

    guard let hints = hints?.pointee else { return }
    guard hints.caps & ~available == 0 else { return nil }
    if hints.caps != 0 { capabilities = hints.caps | otherCapabilities }
    if options.contextSpace, hints.mode & FI_CONTEXT2 == 0 { return nil }
    if let fabric = hints.fabric_attr?.pointee {
      guard matches(fabric.prov_name, options.providerName) else { return nil }
      guard matches(fabric.name, options.fabricName ?? options.providerName) else { return nil }
    }
    if let endpoint = hints.ep_attr?.pointee {
      guard endpoint.type == FI_EP_UNSPEC || endpoint.type == FI_EP_RDM else { return nil }
      guard endpoint.max_msg_size <= options.maximumMessageSize else { return nil }
    }
    if let transmit = hints.tx_attr?.pointee {
      guard transmit.size <= options.transmitDepth else { return nil }
      if transmit.size != 0 { transmitDepth = transmit.size }
    }
    if let attributes = hints.domain_attr?.pointee {
      guard attributes.mr_mode & required == required else { return nil }
      registration = required | attributes.mr_mode & (FI_MR_LOCAL | FI_MR_ALLOCATED | FI_MR_HMEM)
      if attributes.threading != FI_THREAD_UNSPEC { threading = attributes.threading }
      domain = attributes.name.map { String(cString: $0) }
    }
  }

  func accepts(domain name: String) -> Bool { domain == nil || domain == name }
}

private func matches(_ hint: UnsafeMutablePointer<CChar>?, _ name: String) -> Bool {
  hint.map { String(cString: $0) == name } ?? true
}

private func describe(
  _ nic: Int, of provider: any Provider, _ version: UInt32, _ request: InfoRequest
) -> UnsafeMutablePointer<fi_info> {
  let options = provider.options
  let info = allocateInfo()
  info.pointee.caps = request.capabilities
  info.pointee.mode = options.contextSpace ? FI_CONTEXT2 : 0
  info.pointee.addr_format = options.providerName == "efa" ? UInt32(FI_ADDR_EFA) : UInt32(FI_ADDR_IB_UD)
  let address = malloc(EndpointAddress.size)
  _ = EndpointAddress(network: provider.number, nic: nic, endpoint: 0)
    .write(to: address, capacity: EndpointAddress.size)
  info.pointee.src_addr = address
  info.pointee.src_addrlen = EndpointAddress.size

  info.pointee.tx_attr.pointee.caps = request.capabilities & ~otherCapabilities
  info.pointee.tx_attr.pointee.size = request.transmitDepth
  info.pointee.tx_attr.pointee.inject_size = options.injectSize
  info.pointee.tx_attr.pointee.iov_limit = TransferRequest.segmentLimit
  info.pointee.tx_attr.pointee.rma_iov_limit = 1
  info.pointee.rx_attr.pointee.caps = request.capabilities & ~otherCapabilities
  info.pointee.rx_attr.pointee.size = options.transmitDepth
  info.pointee.rx_attr.pointee.iov_limit = TransferRequest.segmentLimit

  info.pointee.ep_attr.pointee.type = FI_EP_RDM
  info.pointee.ep_attr.pointee.protocol = options.providerName == "efa" ? UInt32(FI_PROTO_EFA) : 0
  info.pointee.ep_attr.pointee.protocol_version = 1
  info.pointee.ep_attr.pointee.max_msg_size = options.maximumMessageSize
  info.pointee.ep_attr.pointee.tx_ctx_cnt = 1
  info.pointee.ep_attr.pointee.rx_ctx_cnt = 1

  describeDomain(info.pointee.domain_attr, nic, options, request)
  info.pointee.fabric_attr.pointee.name = strdup(options.fabricName ?? options.providerName)
  info.pointee.fabric_attr.pointee.prov_name = strdup(options.providerName)
  info.pointee.fabric_attr.pointee.prov_version = cfabric_version(1, 17)
  info.pointee.fabric_attr.pointee.api_version = version
  if options.describesDevices { info.pointee.nic = describeDevice(nic, options) }
  return info
}

private func describeDomain(
  _ domain: UnsafeMutablePointer<fi_domain_attr>, _ nic: Int, _ options: FabricOptions, _ request: InfoRequest
) {
  domain.pointee.name = strdup(options.domainName(nic))
  domain.pointee.threading = request.threading
  domain.pointee.control_progress = FI_PROGRESS_MANUAL
  domain.pointee.data_progress = FI_PROGRESS_MANUAL
  domain.pointee.resource_mgmt = FI_RM_ENABLED
  domain.pointee.av_type = FI_AV_TABLE
  domain.pointee.mr_mode = request.registration
  domain.pointee.mr_key_size = 8
  domain.pointee.cq_cnt = 1024
  domain.pointee.ep_cnt = 1024
  domain.pointee.tx_ctx_cnt = 1024
  domain.pointee.rx_ctx_cnt = 1024
  domain.pointee.max_ep_tx_ctx = 1
  domain.pointee.max_ep_rx_ctx = 1
  domain.pointee.mr_iov_limit = 1
  domain.pointee.mr_cnt = 1 << 20
  domain.pointee.caps = request.capabilities & otherCapabilities
}

private func describeDevice(_ nic: Int, _ options: FabricOptions) -> UnsafeMutablePointer<fid_nic> {
  let description = allocateZeroed(fid_nic.self)
  description.pointee.fid.fclass = Int(FI_CLASS_NIC)
  let device = allocateZeroed(fi_device_attr.self)
  device.pointee.name = strdup(options.domainName(nic))
  device.pointee.driver = strdup(options.providerName)
  description.pointee.device_attr = device
  let bus = allocateZeroed(fi_bus_attr.self)
  bus.pointee.bus_type = FI_BUS_PCI
  bus.pointee.attr.pci.bus_id = UInt8(truncatingIfNeeded: 0x10 + nic)
  description.pointee.bus_attr = bus
  let link = allocateZeroed(fi_link_attr.self)
  link.pointee.mtu = 8928
  link.pointee.speed = 100_000_000_000
  link.pointee.state = FI_LINK_UP
  link.pointee.network_type = strdup("simulated")
  description.pointee.link_attr = link
  return description
}
