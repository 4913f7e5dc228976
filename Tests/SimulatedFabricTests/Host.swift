import CFabric
import Glibc
import SimulatedFabric

/// A failed libfabric call.
struct CallFailed: Error {
  var call: String
  var result: Int
}

/// An engine in miniature: one NIC of a simulated network, driven by the inline functions of the headers.
final class Host {
  let fabric: UnsafeMutablePointer<fid_fabric>
  let domain: UnsafeMutablePointer<fid_domain>
  let vector: UnsafeMutablePointer<fid_av>
  let queue: UnsafeMutablePointer<fid_cq>
  let endpoint: UnsafeMutablePointer<fid_ep>
  /// What is sent from and received in.
  let memory: UnsafeMutableRawBufferPointer
  let region: UnsafeMutablePointer<fid_mr>
  let grantedQueueSize: Int
  private(set) var isOpen = true

  init(
    _ functions: cfabric_functions, nic: Int = 0, threading: fi_threading = FI_THREAD_DOMAIN,
    access: UInt64 = FI_READ | FI_WRITE | FI_REMOTE_READ | FI_REMOTE_WRITE
  ) throws {
    let hints = try opened("fi_dupinfo", functions.dupinfo(nil))
    defer { functions.freeinfo(hints) }
    hints.pointee.caps = FI_RMA
    hints.pointee.mode = FI_CONTEXT2
    hints.pointee.ep_attr.pointee.type = FI_EP_RDM
    hints.pointee.domain_attr.pointee.threading = threading
    hints.pointee.domain_attr.pointee.mr_mode = FI_MR_LOCAL | FI_MR_VIRT_ADDR | FI_MR_ALLOCATED | FI_MR_PROV_KEY
    var list: UnsafeMutablePointer<fi_info>?
    try check("fi_getinfo", Int(functions.getinfo(cfabric_version(1, 17), nil, nil, 0, hints, &list)))
    defer { functions.freeinfo(list) }
    var info = try opened("fi_getinfo", list)
    for _ in 0..<nic { info = try opened("fi_getinfo", info.pointee.next) }

    var fabric: UnsafeMutablePointer<fid_fabric>?
    try check("fi_fabric", Int(functions.fabric(info.pointee.fabric_attr, &fabric, nil)))
    self.fabric = try opened("fi_fabric", fabric)
    var domain: UnsafeMutablePointer<fid_domain>?
    try check("fi_domain", Int(fi_domain(fabric, info, &domain, nil)))
    self.domain = try opened("fi_domain", domain)
    var vector: UnsafeMutablePointer<fid_av>?
    var vectorAttributes = fi_av_attr()
    try check("fi_av_open", Int(fi_av_open(domain, &vectorAttributes, &vector, nil)))
    self.vector = try opened("fi_av_open", vector)
    var queue: UnsafeMutablePointer<fid_cq>?
    var queueAttributes = fi_cq_attr()
    queueAttributes.size = 4096
    queueAttributes.format = FI_CQ_FORMAT_DATA
    try check("fi_cq_open", Int(fi_cq_open(domain, &queueAttributes, &queue, nil)))
    self.queue = try opened("fi_cq_open", queue)
    grantedQueueSize = queueAttributes.size
    var endpoint: UnsafeMutablePointer<fid_ep>?
    try check("fi_endpoint", Int(fi_endpoint(domain, info, &endpoint, nil)))
    self.endpoint = try opened("fi_endpoint", endpoint)
    try check("fi_ep_bind", Int(fi_ep_bind(endpoint, &self.vector.pointee.fid, 0)))
    try check("fi_ep_bind", Int(fi_ep_bind(endpoint, &self.queue.pointee.fid, FI_TRANSMIT | FI_RECV)))
    try check("fi_enable", Int(fi_enable(endpoint)))

    memory = .allocate(byteCount: 4096, alignment: 64)
    memory.initializeMemory(as: UInt8.self, repeating: 0)
    var region: UnsafeMutablePointer<fid_mr>?
    try check("fi_mr_reg", Int(fi_mr_reg(domain, memory.baseAddress, memory.count, access, 0, 7, 0, &region, nil)))
    self.region = try opened("fi_mr_reg", region)
  }

  var address: [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 32)
    var size = bytes.count
    _ = fi_getname(&endpoint.pointee.fid, &bytes, &size)
    return bytes
  }

  func insert(_ address: [UInt8]) -> fi_addr_t {
    var place: fi_addr_t = 0
    return fi_av_insert(vector, address, 1, &place, 0, nil) == 1 ? place : cfabric_addr_unspec
  }

  func start(_ offset: Int = 0) -> UInt64 { UInt64(UInt(bitPattern: memory.baseAddress)) + UInt64(offset) }

  /// Writes `count` bytes at `offset` to the same place at the other host.
  func write(
    to peer: Host, at place: fi_addr_t, offset: Int = 0, count: Int = 64, key: UInt64? = nil,
    context: UnsafeMutableRawPointer? = nil
  ) -> Int {
    fi_write(
      endpoint, memory.baseAddress.map { $0 + offset }, count, fi_mr_desc(region), place, peer.start(offset),
      key ?? fi_mr_key(peer.region), context)
  }

  /// One poll: the contexts of what completed, or the error.
  func poll(_ most: Int = 16) -> (contexts: [UInt], result: Int) {
    var entries = [fi_cq_data_entry](repeating: .init(), count: most)
    let result = fi_cq_read(queue, &entries, most)
    return (entries.prefix(max(0, result)).map { UInt(bitPattern: $0.op_context) }, result)
  }

  func readError() -> (entry: fi_cq_err_entry, result: Int) {
    var entry = fi_cq_err_entry()
    let result = fi_cq_readerr(queue, &entry, 0)
    return (entry, result)
  }

  /// Closes everything in the right order; what each call answered.
  func close() -> [Int32] {
    isOpen = false
    return [
      fi_close(&endpoint.pointee.fid), fi_close(&region.pointee.fid), fi_close(&vector.pointee.fid),
      fi_close(&queue.pointee.fid), fi_close(&domain.pointee.fid), fi_close(&fabric.pointee.fid),
    ]
  }

  deinit {
    if isOpen { _ = close() }
    memory.deallocate()
  }
}

func check(_ call: String, _ result: Int) throws {
  if result != 0 { throw CallFailed(call: call, result: result) }
}

private func opened<Fid>(_ call: String, _ fid: UnsafeMutablePointer<Fid>?) throws -> UnsafeMutablePointer<Fid> {
  guard let fid else { throw CallFailed(call: call, result: 0) }
  return fid
}
