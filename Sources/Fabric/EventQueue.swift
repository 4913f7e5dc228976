internal import CFabric

/// Where a NIC reports what belongs to no operation. Always bound to an endpoint: the EFA provider ends the process on
/// an internal error that it has no queue to report to.
public struct EventQueue: ~Copyable {
  let raw: UnsafeMutablePointer<fid_eq>
  private let library: FabricLibrary

  /// Opens a queue on the domain's fabric, polled, never waited on.
  public init(_ domain: Domain) throws(FabricError) {
    var attributes = fi_eq_attr()
    attributes.wait_obj = FI_WAIT_NONE
    var raw: UnsafeMutablePointer<fid_eq>?
    try domain.library.check("fi_eq_open", fi_eq_open(domain.rawFabric, &attributes, &raw, nil))
    guard let raw else { throw domain.library.error("fi_eq_open", -FI_EINVAL) }
    library = domain.library
    self.raw = raw
  }

  /// The next error or event as a text for the log; nil where there is none.
  public func next() -> String? {
    withUnsafeTemporaryAllocation(byteCount: 256, alignment: 16) { buffer -> String? in
      var event: UInt32 = 0
      let result = fi_eq_read(raw, &event, buffer.baseAddress, buffer.count, 0)
      if result >= 0 { return "event \(event)" }
      guard result == -Int(FI_EAVAIL) else { return nil }
      var entry = fi_eq_err_entry()
      guard fi_eq_readerr(raw, &entry, 0) > 0 else { return nil }
      let own = fi_eq_strerror(raw, entry.prov_errno, entry.err_data, nil, 0).map { String(cString: $0) } ?? ""
      return "\(library.text(entry.err)) (\(entry.err)), provider: \(own) (\(entry.prov_errno))"
    }
  }

  deinit { _ = fi_close(&raw.pointee.fid) }
}
