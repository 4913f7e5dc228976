public import CFabric

/// Where a NIC reports what it has done.
public struct CompletionQueue: ~Copyable {
  /// The queue, for libfabric's inline functions.
  public let raw: UnsafeMutablePointer<fid_cq>
  /// Entries that it holds, as the provider granted them.
  public let size: Int
  /// What becomes readable when a provider that moves bytes by the CPU has something to do, for a thread that sleeps
  /// after ``maySleep()``. Nil where the NIC needs nobody, or the provider has no such thing. The queue's own.
  public let waitDescriptor: Int32?
  private let domain: Domain
  private var library: FabricLibrary { domain.library }

  /// Opens a queue of at least `minimumSize` entries, which carry the operation's context only. It is polled; one that
  /// can be waited on as well is asked for where that helps (``NICOffer/needsProgress``).
  public init(_ domain: Domain, minimumSize: Int) throws(FabricError) {
    var attributes = fi_cq_attr()
    attributes.size = minimumSize
    attributes.format = FI_CQ_FORMAT_CONTEXT
    attributes.wait_obj = domain.offer.needsProgress ? FI_WAIT_FD : FI_WAIT_NONE
    var raw: UnsafeMutablePointer<fid_cq>?
    if fi_cq_open(domain.raw, &attributes, &raw, nil) != 0 || raw == nil {
      attributes.size = minimumSize
      attributes.wait_obj = FI_WAIT_NONE
      try domain.library.check("fi_cq_open", fi_cq_open(domain.raw, &attributes, &raw, nil))
    }
    guard let raw else { throw domain.library.error("fi_cq_open", -FI_EINVAL) }
    var descriptor: Int32 = -1
    let canWait =
      attributes.wait_obj == FI_WAIT_FD && fi_control(&raw.pointee.fid, Int32(FI_GETWAIT), &descriptor) == 0
    self.domain = domain
    size = attributes.size
    waitDescriptor = canWait && descriptor >= 0 ? descriptor : nil
    self.raw = raw
  }

  /// Whether nothing waits to be read or done, so that ``waitDescriptor`` tells of what comes next. Otherwise the queue
  /// has to be read first.
  public func maySleep() -> Bool {
    var queue: UnsafeMutablePointer<fid>? = UnsafeMutableRawPointer(raw).assumingMemoryBound(to: fid.self)
    return fi_trywait(domain.rawFabric, &queue, 1) == 0
  }

  /// Reads up to `count` completions.
  ///
  /// - Returns: How many, or a negative error: `-FI_EAGAIN` where there are none, `-FI_EAVAIL` where ``readError()``
  ///   has to be called before anything else can be read.
  @inlinable
  public func read(into entries: UnsafeMutablePointer<fi_cq_entry>, count: Int) -> Int {
    fi_cq_read(raw, entries, count)
  }

  /// Takes one failed completion; nil where there is none.
  public func readError() -> FailedCompletion? {
    // Zeroed, since a provider may write its text to err_data if err_data_size says that there is room.
    var entry = fi_cq_err_entry()
    guard fi_cq_readerr(raw, &entry, 0) > 0 else { return nil }
    let own = fi_cq_strerror(raw, entry.prov_errno, entry.err_data, nil, 0).map { String(cString: $0) }
    return FailedCompletion(
      context: entry.op_context, code: entry.err, providerCode: entry.prov_errno,
      text: own ?? library.text(entry.err), meaning: library.text(entry.err))
  }

  deinit { _ = fi_close(&raw.pointee.fid) }
}

/// An operation that the provider gave up.
public struct FailedCompletion {
  /// The operation's context, as it was posted; nil for an error that belongs to none.
  public let context: UnsafeMutableRawPointer?
  /// libfabric's positive error number.
  public let code: Int32
  /// The provider's own number.
  public let providerCode: Int32
  /// The provider's own text.
  public let text: String
  /// libfabric's text for ``code``.
  public let meaning: String

  /// For logs: `Connection refused (111), provider: … (111)`.
  public var summary: String { "\(meaning) (\(code)), provider: \(text) (\(providerCode))" }
}
