internal import Synchronization

/// The progress of one request of a batch. Written by whoever drives the rail, read by whoever asks.
struct TransferTask: ~Copyable {
  /// Parts that are not settled. 0 with ``worst`` clear means that the task is complete.
  let remaining = Atomic<Int32>(0)
  /// Bytes of the parts that are complete.
  let bytes = Atomic<UInt64>(0)
  /// The worst that happened to a part: 0, or the raw value of `timedOut` or `failed`.
  let worst = Atomic<Int32>(0)

  /// Makes it new for `parts` parts.
  func reset(parts: Int32) {
    bytes.store(0, ordering: .relaxed)
    worst.store(0, ordering: .relaxed)
    remaining.store(parts, ordering: .releasing)
  }

  /// All of its `length` bytes are where they belong.
  @inline(__always)
  func complete(_ length: Int) {
    bytes.store(UInt64(truncatingIfNeeded: length), ordering: .relaxed)
    remaining.store(0, ordering: .releasing)
  }

  /// What there is to report.
  var status: TransferStatus {
    let open = remaining.load(ordering: .acquiring)
    let moved = bytes.load(ordering: .relaxed)
    guard open == 0 else { return TransferStatus(.waiting, transferredBytes: moved) }
    switch worst.load(ordering: .relaxed) {
    case TransferStatus.State.failed.rawValue: return TransferStatus(.failed, transferredBytes: moved)
    case TransferStatus.State.timedOut.rawValue: return TransferStatus(.timedOut, transferredBytes: moved)
    default: return TransferStatus(.completed, transferredBytes: moved)
    }
  }
}
