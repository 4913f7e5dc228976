import CFabric
import SimulatedFabric

/// `fi_write` and `fi_cq_read` called directly: what the null fabric and the loop itself cost, which is part of every
/// other row.
let rawLoop = Loop(name: "null-fabric") {
  let rail = try RawRail()
  return { rail.run($0) }
}

/// A failed libfabric call.
struct CallFailed: Error {
  var call: String
  var result: Int
}

/// One NIC of a null fabric, opened with no more than it takes.
final class RawRail {
  /// Operations posted before each poll.
  private static let batch = 32

  private let network: NullFabric
  private let queue: UnsafeMutablePointer<fid_cq>
  private let endpoint: UnsafeMutablePointer<fid_ep>
  private let entries = UnsafeMutablePointer<fi_cq_entry>.allocate(capacity: batch)

  init() throws {
    network = NullFabric()
    let functions = network.functions
    let hints = functions.dupinfo(nil)
    defer { functions.freeinfo(hints) }
    hints?.pointee.domain_attr.pointee.mr_mode = FI_MR_VIRT_ADDR | FI_MR_PROV_KEY
    var list: UnsafeMutablePointer<fi_info>?
    try check("fi_getinfo", functions.getinfo(cfabric_version(1, 17), nil, nil, 0, hints, &list))
    defer { functions.freeinfo(list) }
    var fabric: UnsafeMutablePointer<fid_fabric>?
    try check("fi_fabric", functions.fabric(list?.pointee.fabric_attr, &fabric, nil))
    var domain: UnsafeMutablePointer<fid_domain>?
    try check("fi_domain", fi_domain(fabric, list, &domain, nil))
    var queueAttributes = fi_cq_attr()
    queueAttributes.format = FI_CQ_FORMAT_CONTEXT
    var queue: UnsafeMutablePointer<fid_cq>?
    try check("fi_cq_open", fi_cq_open(domain, &queueAttributes, &queue, nil))
    var endpoint: UnsafeMutablePointer<fid_ep>?
    try check("fi_endpoint", fi_endpoint(domain, list, &endpoint, nil))
    guard let queue, let endpoint else { throw CallFailed(call: "fi_endpoint", result: 0) }
    try check("fi_ep_bind", fi_ep_bind(endpoint, &queue.pointee.fid, FI_TRANSMIT))
    self.queue = queue
    self.endpoint = endpoint
  }

  /// Posts in batches, polls each batch to its end.
  func run(_ operations: Int) {
    let (endpoint, queue, entries) = (endpoint, queue, entries)
    var left = operations
    while left > 0 {
      let batch = min(left, Self.batch)
      var posted = 0
      while posted < batch {
        if fi_write(endpoint, nil, 64, nil, 0, 0, 0, nil) == 0 { posted &+= 1 }
      }
      while posted > 0 {
        let read = fi_cq_read(queue, entries, Self.batch)
        if read > 0 { posted &-= read }
      }
      left &-= batch
    }
  }

  deinit { entries.deallocate() }
}

private func check(_ call: String, _ result: Int32) throws {
  if result != 0 { throw CallFailed(call: call, result: Int(result)) }
}
