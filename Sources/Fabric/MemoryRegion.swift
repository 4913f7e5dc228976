internal import CFabric
internal import Glibc

/// Memory that one NIC may read and write, locally and for peers that know its key.
public struct MemoryRegion: ~Copyable, @unchecked Sendable {
  /// What a peer names it by. May be 0, which upstream takes for "not registered".
  public let key: UInt64
  /// What a local operation names it by.
  public let descriptor: UnsafeMutableRawPointer?
  let raw: UnsafeMutablePointer<fid_mr>
  private let domain: Domain

  /// Registers `length` bytes at `address`.
  ///
  /// - Parameters:
  ///   - cudaDevice: The GPU whose memory it is, by CUDA's number; nil for host memory. Its context has to be current on
  ///     the calling thread, and the offer one that ``NICOffer/reachesGPUMemory``.
  ///   - requestedKey: The key to use where the provider leaves the choice to us; otherwise ignored.
  ///   - isReadableByPeers: Whether a peer that has the key may read.
  ///   - isWritableByPeers: Whether a peer that has the key may write.
  public init(
    _ domain: Domain, address: UnsafeMutableRawPointer, length: Int, cudaDevice: Int? = nil, requestedKey: UInt64,
    isReadableByPeers: Bool = true, isWritableByPeers: Bool = true
  ) throws(FabricError) {
    var access = UInt64(FI_READ) | UInt64(FI_WRITE)
    if isReadableByPeers { access |= UInt64(FI_REMOTE_READ) }
    if isWritableByPeers { access |= UInt64(FI_REMOTE_WRITE) }
    var raw: UnsafeMutablePointer<fid_mr>?
    let key = domain.offer.choosesKeys ? 0 : requestedKey
    if let cudaDevice {
      // The plain call says that it is host memory.
      var part = iovec(iov_base: address, iov_len: length)
      // Followed by zeros: a library that is younger than our headers may know of more fields.
      var attributes = (fi_mr_attr(), (UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0), UInt64(0)))
      attributes.0.access = access
      attributes.0.requested_key = key
      attributes.0.iface = FI_HMEM_CUDA
      attributes.0.device.cuda = Int32(truncatingIfNeeded: cudaDevice)
      let result = withUnsafePointer(to: &part) { part in
        attributes.0.mr_iov = part
        attributes.0.iov_count = 1
        return withUnsafePointer(to: &attributes) { attributes in
          attributes.withMemoryRebound(to: fi_mr_attr.self, capacity: 1) { fi_mr_regattr(domain.raw, $0, 0, &raw) }
        }
      }
      try domain.library.check("fi_mr_regattr", result, advice: Self.cudaAdvice)
    } else {
      try domain.library.check(
        "fi_mr_reg", fi_mr_reg(domain.raw, address, length, access, 0, key, 0, &raw, nil),
        advice: "Check the memlock limit (ulimit -l) and that the whole range is mapped.")
    }
    guard let raw else { throw domain.library.error("fi_mr_reg", -FI_EINVAL) }
    self.domain = domain
    self.raw = raw
    self.key = fi_mr_key(raw)
    descriptor = fi_mr_desc(raw)
  }

  private static let cudaAdvice =
    "Check that the NIC may reach the GPU (the kernel module nvidia_peermem or efa_nv_peermem, or DMA-BUF), that the"
    + " whole range is allocated, and that it was not made in pieces (PYTORCH_CUDA_ALLOC_CONF=expandable_segments:False)."

  deinit { _ = fi_close(&raw.pointee.fid) }
}
