internal import CLinux
internal import Synchronization

/// The requests that were submitted under one batch id, and how many of them are not settled yet.
///
/// Its memory is never given back while the engine lives, only reused: whoever settles the last request may still look
/// at ``sleepers`` when the owner has seen the end and freed the batch.
struct Batch: ~Copyable {
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

  /// The place in the table.
  let index: Int
  /// Requests that it has room for.
  var capacity = 0
  /// One per request.
  var tasks: UnsafeMutablePointer<TransferTask>?
  /// One per request; the second and later parts of split requests have theirs from ``takePart()``.
  var slab: WorkRequestPointer?
  /// Requests that the two slabs above have room for; at least ``capacity``.
  var slabCapacity = 0
  /// Slabs for the second and later parts of requests.
  private var partSlabs: [WorkRequestPointer] = []
  /// Parts taken from them.
  private(set) var partCount = 0

  /// Parts in a slab.
  private static let partsPerSlab = 256
  /// Slabs that are kept for the batch's next life: a gigabyte in parts of a megabyte.
  private static let keptPartSlabs = 4

  init(index: Int) {
    self.index = index
    sleepers.initialize(to: Atomic(0))
  }

  /// Makes room for `count` requests, reusing the slabs of an earlier life if they are of a fitting size.
  mutating func prepare(_ count: Int) {
    if slab == nil || slabCapacity < count || slabCapacity > max(64, count * 8) {
      releaseSlabs()
      let tasks = UnsafeMutablePointer<TransferTask>.allocate(capacity: max(count, 1))
      for index in 0..<count { (tasks + index).initialize(to: TransferTask()) }
      self.tasks = tasks
      slab = WorkRequestPointer.allocate(capacity: max(count, 1))
      slabCapacity = count
    }
    capacity = count
    submitted.store(0, ordering: .relaxed)
    transferred.store(0, ordering: .relaxed)
    worst.store(0, ordering: .relaxed)
    hasNotification.store(0, ordering: .relaxed)
    outstanding.store(0, ordering: .releasing)
  }

  /// An uninitialised work request for the second or a later part of a request.
  mutating func takePart() -> WorkRequestPointer {
    let (slab, place) = (partCount / Self.partsPerSlab, partCount % Self.partsPerSlab)
    if slab == partSlabs.count { partSlabs.append(.allocate(capacity: Self.partsPerSlab)) }
    partCount += 1
    return partSlabs[slab] + place
  }

  /// Takes back all parts but the first `count`; nobody may have them any more.
  mutating func returnParts(downTo count: Int) { partCount = count }

  /// Takes all parts back and keeps the memory for some. Nothing of it may be with a provider.
  mutating func releaseParts() {
    partCount = 0
    while partSlabs.count > Self.keptPartSlabs { partSlabs.removeLast().deallocate() }
  }

  private mutating func releaseSlabs() {
    tasks?.deinitialize(count: slabCapacity).deallocate()
    slab?.deallocate()
    tasks = nil
    slab = nil
    slabCapacity = 0
  }

  /// Lets go of what the batch holds on to besides its own memory. Nobody may use it.
  func releaseStream() {
    let bits = stream.exchange(0, ordering: .acquiring)
    guard let opaque = UnsafeRawPointer(bitPattern: bits) else { return }
    Unmanaged<TCPPeer>.fromOpaque(opaque).release()
  }

  deinit {
    releaseStream()
    tasks?.deinitialize(count: slabCapacity).deallocate()
    slab?.deallocate()
    for slab in partSlabs { slab.deallocate() }
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
    guard let tasks = pointee.tasks else { return true }
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
