internal import CLinux
internal import Synchronization

/// The requests that were submitted under one batch id, and how many of them are not settled yet.
///
/// Its memory is never given back while the engine lives, only reused: whoever settles the last request may still look
/// at ``sleepers`` when the owner has seen the end and freed the batch.
struct Batch: ~Copyable {
  // The owner's alone, and so in front: ThreadSanitizer takes the first bytes for whoever changes a part of a struct.

  /// Where its requests are.
  var memory = BatchMemory()
  /// The place in the table.
  let index: Int

  // Everybody's.

  /// The generation in the upper half, the callers that are using the batch right now in the lower.
  let pins = Atomic<UInt64>(1 << 32)
  /// Work requests that are not settled.
  let outstanding = Atomic<Int>(0)
  /// Work requests that were settled by their deadline but are still with the provider.
  let abandoned = Atomic<Int>(0)
  /// Bytes of all completed parts.
  let transferred = Atomic<UInt64>(0)
  /// The worst that happened to any part: 0, or the raw value of `timedOut` or `failed`.
  let worst = Atomic<Int32>(0)
  /// The futex of threads that sleep until the batch is settled: 1 while there may be one. Allocated, because a futex
  /// is known by its address.
  let sleepers = UnsafeMutablePointer<Atomic<UInt32>>.allocate(capacity: 1)
  /// 1 while a thread submits; tasks and slabs are its own then.
  let submitting = Atomic<UInt32>(0)
  /// Requests submitted so far.
  let submitted = Atomic<Int>(0)
  /// What to call when the batch is settled: an unbalanced reference to a ``SettlementHandler``, 0 for none.
  let handler = Atomic<UInt>(0)
  /// The peer that the first of its requests over TCP went to: an unbalanced reference to a ``TCPPeer``, 0 for none.
  let stream = Atomic<UInt>(0)
  /// 1 while a notification waits for the batch to complete.
  let hasNotification = Atomic<UInt32>(0)

  init(index: Int) {
    self.index = index
    sleepers.initialize(to: Atomic(0))
  }

  /// Begins another life, of which nothing has happened yet. For the thread that has just taken the batch: nobody knows
  /// its id.
  func reset() {
    submitted.store(0, ordering: .relaxed)
    transferred.store(0, ordering: .relaxed)
    worst.store(0, ordering: .relaxed)
    hasNotification.store(0, ordering: .relaxed)
    outstanding.store(0, ordering: .releasing)
  }

  /// Lets go of what the batch holds on to besides its own memory. Nobody may use it.
  func releaseStream() {
    let bits = stream.exchange(0, ordering: .acquiring)
    guard let opaque = UnsafeRawPointer(bitPattern: bits) else { return }
    Unmanaged<TCPPeer>.fromOpaque(opaque).release()
  }

  deinit {
    releaseStream()
    sleepers.deallocate()
    if let opaque = UnsafeRawPointer(bitPattern: handler.load(ordering: .relaxed)) {
      Unmanaged<SettlementHandler>.fromOpaque(opaque).release()
    }
  }
}

/// Something to call once when a batch is settled.
final class SettlementHandler: Sendable {
  let body: @Sendable () -> Void
  init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}

typealias BatchPointer = UnsafeMutablePointer<Batch>

extension UnsafeMutablePointer where Pointee == Batch {
  /// Takes `count` settled requests off the count of outstanding ones and wakes the sleepers after the last. Returns
  /// whether there were any.
  @inline(__always) @discardableResult
  func settle(_ count: Int) -> Bool {
    let before = pointee.outstanding.subtract(count, ordering: .sequentiallyConsistent).oldValue
    guard before == count else { return false }
    let sleeps = pointee.sleepers.pointee.load(ordering: .sequentiallyConsistent) != 0
    if sleeps { wake() }
    if pointee.handler.load(ordering: .sequentiallyConsistent) != 0 { callHandler() }
    return sleeps
  }

  /// Calls the handler, if there is one, at most once.
  @inline(never)
  func callHandler() {
    let bits = pointee.handler.exchange(0, ordering: .sequentiallyConsistent)
    guard let opaque = UnsafeRawPointer(bitPattern: bits) else { return }
    Unmanaged<SettlementHandler>.fromOpaque(opaque).takeRetainedValue().body()
  }

  /// How the batch as a whole stands.
  var status: TransferStatus {
    let open = pointee.outstanding.load(ordering: .acquiring)
    let moved = pointee.transferred.load(ordering: .relaxed)
    guard open == 0 else { return TransferStatus(.waiting, transferredBytes: moved) }
    switch pointee.worst.load(ordering: .relaxed) {
    case TransferStatus.State.failed.rawValue: return TransferStatus(.failed, transferredBytes: moved)
    case TransferStatus.State.timedOut.rawValue: return TransferStatus(.timedOut, transferredBytes: moved)
    default: return TransferStatus(.completed, transferredBytes: moved)
    }
  }

  /// Whether every task is settled, which is seen a moment before the batch as a whole is.
  var hasSettledTasks: Bool {
    guard let tasks = pointee.memory.tasks else { return true }
    return (0..<pointee.submitted.load(ordering: .acquiring)).allSatisfy {
      (tasks + $0).pointee.remaining.load(ordering: .acquiring) == 0
    }
  }

  /// Wakes every thread that sleeps on the batch.
  @inline(never)
  func wake() {
    if pointee.sleepers.pointee.exchange(0, ordering: .sequentiallyConsistent) != 0 {
      _ = clinux_futex_wake(sleepWord, Int32.max)
    }
  }

  /// Sleeps until woken or for `nanoseconds`, unless somebody has cleared the word since it was set.
  func sleep(nanoseconds: UInt64) {
    _ = clinux_futex_wait(sleepWord, 1, Int64(nanoseconds))
  }

  private var sleepWord: UnsafeMutablePointer<UInt32> {
    UnsafeMutableRawPointer(pointee.sleepers).assumingMemoryBound(to: UInt32.self)
  }
}
