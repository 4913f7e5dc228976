/// Where a transfer, or a whole batch, stands.
public struct TransferStatus: Equatable, Sendable {
  /// The states, with upstream's numbers.
  public enum State: Int32, Sendable {
    /// Not all of it is done.
    case waiting = 0
    /// All bytes are in the memory that they were meant for.
    case completed = 4
    /// Its deadline passed. Bytes may have moved, and for a read may still arrive until the batch can be freed.
    case timedOut = 5
    /// The fabric or the peer refused or lost a part of it.
    case failed = 6
  }

  /// The state.
  public var state: State
  /// Bytes known to have been moved.
  public var transferredBytes: UInt64

  /// A status of `state` with `transferredBytes` bytes moved.
  public init(_ state: State, transferredBytes: UInt64) {
    self.state = state
    self.transferredBytes = transferredBytes
  }

  /// Whether nothing more will happen.
  public var isFinal: Bool { state != .waiting }
}
