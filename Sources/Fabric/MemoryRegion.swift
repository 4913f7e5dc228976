internal import CFabric

/// Memory that one NIC may read and write, locally and for peers that know its key.
public struct MemoryRegion: ~Copyable, @unchecked Sendable {
  /// What a peer names it by. May be 0, which upstream takes for "not registered".
  public let key: UInt64
  /// What a local operation names it by.
  public let descriptor: UnsafeMutableRawPointer?
  let raw: UnsafeMutablePointer<fid_mr>
  private let domain: Domain

  /// Registers `length` bytes of host memory at `address`.
  ///
  /// - Parameters:
  ///   - requestedKey: The key to use where the provider leaves the choice to us; otherwise ignored.
  ///   - isReadableByPeers: Whether a peer that has the key may read.
  ///   - isWritableByPeers: Whether a peer that has the key may write.
  public init(
    _ domain: Domain, address: UnsafeMutableRawPointer, length: Int, requestedKey: UInt64,
    isReadableByPeers: Bool = true, isWritableByPeers: Bool = true
  ) throws(FabricError) {
    var access = UInt64(FI_READ) | UInt64(FI_WRITE)
    if isReadableByPeers { access |= UInt64(FI_REMOTE_READ) }
    if isWritableByPeers { access |= UInt64(FI_REMOTE_WRITE) }
    var raw: UnsafeMutablePointer<fid_mr>?
    let key = domain.offer.choosesKeys ? 0 : requestedKey
    try domain.library.check(
      "fi_mr_reg", fi_mr_reg(domain.raw, address, length, access, 0, key, 0, &raw, nil),
      advice: "Check the memlock limit (ulimit -l) and that the whole range is mapped.")
    guard let raw else { throw domain.library.error("fi_mr_reg", -FI_EINVAL) }
    self.domain = domain
    self.raw = raw
    self.key = fi_mr_key(raw)
    descriptor = fi_mr_desc(raw)
  }

  deinit { _ = fi_close(&raw.pointee.fid) }
}
