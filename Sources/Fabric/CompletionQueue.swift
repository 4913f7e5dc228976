public import CFabric

/// Where a NIC reports what it has done.
public struct CompletionQueue: ~Copyable {
  /// The queue, for libfabric's inline functions.
  public let raw: UnsafeMutablePointer<fid_cq>
  /// Entries that it holds, as the provider granted them.
  public let size: Int
  private let library: FabricLibrary

  /// Opens a queue of at least `minimumSize` entries that is polled, never waited on (`FI_WAIT_NONE`), and whose
  /// entries carry the operation's context only.
  public init(_ domain: Domain, minimumSize: Int) throws(FabricError) {
    var attributes = fi_cq_attr()
    attributes.size = minimumSize
    attributes.format = FI_CQ_FORMAT_CONTEXT
    attributes.wait_obj = FI_WAIT_NONE
    var raw: UnsafeMutablePointer<fid_cq>?
    try domain.library.check("fi_cq_open", fi_cq_open(domain.raw, &attributes, &raw, nil))
    guard let raw else { throw domain.library.error("fi_cq_open", -FI_EINVAL) }
    library = domain.library
    size = attributes.size
    self.raw = raw
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
