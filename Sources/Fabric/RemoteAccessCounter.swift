internal import CFabric

/// Counts peers' reads and writes of a NIC's memory. They complete nothing on this side, so with a provider that moves
/// bytes by the CPU this is how a side that only serves knows that it is needed.
///
/// It has to be closed after the endpoint that it is bound to.
public struct RemoteAccessCounter: ~Copyable {
  private let raw: UnsafeMutablePointer<fid_cntr>
  private let domain: Domain

  /// Opens a counter and binds it to an endpoint that is not enabled yet; nil where the provider has no such thing.
  init?(_ domain: Domain, boundTo endpoint: UnsafeMutablePointer<fid_ep>) {
    guard domain.offer.countsRemoteAccess else { return nil }
    var attributes = fi_cntr_attr()
    attributes.events = FI_CNTR_EVENTS_COMP
    attributes.wait_obj = FI_WAIT_NONE
    var raw: UnsafeMutablePointer<fid_cntr>?
    guard fi_cntr_open(domain.raw, &attributes, &raw, nil) == 0, let raw else { return nil }
    guard fi_ep_bind(endpoint, &raw.pointee.fid, UInt64(FI_REMOTE_READ) | UInt64(FI_REMOTE_WRITE)) == 0 else {
      _ = fi_close(&raw.pointee.fid)
      return nil
    }
    self.raw = raw
    self.domain = domain
  }

  /// How many there have been. Asking lets the provider work, as reading a completion queue does.
  public func read() -> UInt64 { fi_cntr_read(raw) }

  deinit { _ = fi_close(&raw.pointee.fid) }
}
