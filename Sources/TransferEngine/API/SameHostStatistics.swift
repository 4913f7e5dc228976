/// What an engine has moved between its memory and that of its neighbours, other engines of the same host, by itself
/// and without a NIC or a socket.
public struct SameHostStatistics: Equatable, Sendable {
  /// Bytes that the kernel has copied from one process to the other.
  public var copiedBytes: UInt64 = 0
  /// Bytes that were copied from and to memory which both processes have mapped.
  public var mappedBytes: UInt64 = 0
  /// Operations that have completed. A large request is several.
  public var operations: UInt64 = 0
  /// Operations that have failed or passed their deadline.
  public var failures: UInt64 = 0
}
