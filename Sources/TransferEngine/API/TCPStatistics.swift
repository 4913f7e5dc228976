/// What an engine has moved over TCP since it was created.
///
/// The numbers may lag behind the status of a batch by a few operations that are completed at the same moment.
public struct TCPStatistics: Equatable, Sendable {
  /// The numbers of one side.
  public struct Counts: Equatable, Sendable {
    /// Bytes of the operations that have completed.
    public var bytes: UInt64 = 0
    /// Operations that have completed. A request of a megabyte or more is several.
    public var operations: UInt64 = 0
    /// Operations that have failed, were refused, or passed their deadline.
    public var failures: UInt64 = 0
  }

  /// Operations that this engine has asked peers for.
  public var initiated: Counts
  /// Operations that peers have asked this engine for.
  public var served: Counts
}
