internal import Synchronization

/// All batches of an engine, found by ids that carry a generation, without a lock.
final class BatchTable: @unchecked Sendable {
  /// Batches that may be allocated at once.
  static let maximumBatches = 1 << 16
  /// Requests that all live batches together may have room for: 4 Mi, about 700 MB of work requests.
  static let maximumRequests = 1 << 22

  /// Of an id: what names the batch's place, counted from 1. The rest is its generation, of 32 bits.
  private static let indexBits: UInt64 = 17
  private static let indexMask: UInt64 = (1 << indexBits) - 1

  private struct Ledger {
    var free: [Int] = []
    var created = 0
    var requests = 0
  }

  private let ledger = Mutex(Ledger())
  /// Filled from the front and never emptied before `deinit`; a slot is published by the id that names it.
  private let slots: UnsafeMutablePointer<BatchPointer?>
  private let count = Atomic<Int>(0)

  init() {
    slots = .allocate(capacity: Self.maximumBatches)
    slots.initialize(repeating: nil, count: Self.maximumBatches)
  }

  /// No rail may be driven any more.
  deinit {
    for index in 0..<count.load(ordering: .acquiring) {
      guard let batch = slots[index] else { continue }
      batch.deinitialize(count: 1)
      batch.deallocate()
    }
    slots.deallocate()
  }

  /// A new batch with room for `capacity` requests.
  func allocate(capacity: Int) throws(TransferError) -> BatchID {
    guard capacity > 0 else {
      throw TransferError(.invalidArgument, "A batch needs room for at least 1 request, not \(capacity).")
    }
    let index = try ledger.withLock { ledger throws(TransferError) -> Int in
      guard capacity <= Self.maximumRequests - ledger.requests else {
        throw TransferError(
          .tooManyRequests,
          "A batch of \(capacity) requests would exceed the \(Self.maximumRequests) that all live batches may have;"
            + " \(ledger.requests) are taken. Free batches that are done.")
      }
      if let index = ledger.free.popLast() {
        ledger.requests += capacity
        return index
      }
      guard ledger.created < Self.maximumBatches else {
        throw TransferError(
          .tooManyRequests, "All \(Self.maximumBatches) batches are in use. Free batches that are done.")
      }
      ledger.requests += capacity
      let index = ledger.created
      let batch = BatchPointer.allocate(capacity: 1)
      batch.initialize(to: Batch(index: index))
      slots[index] = batch
      ledger.created += 1
      count.store(ledger.created, ordering: .releasing)
      return index
    }
    guard let batch = slots[index] else { throw TransferError(.memory, "The batch table is inconsistent.") }
    batch.pointee.memory.prepare(capacity)
    batch.pointee.reset()
    let generation = batch.pointee.pins.load(ordering: .relaxed) >> 32
    return BatchID(rawValue: generation << Self.indexBits | UInt64(index + 1))
  }

  /// Runs `body` with the batch, which cannot be freed meanwhile.
  @inline(__always)
  func with<R>(_ id: BatchID, _ body: (BatchPointer) throws(TransferError) -> R) throws(TransferError) -> R {
    let batch = try pin(id)
    defer { batch.pointee.pins.subtract(1, ordering: .releasing) }
    return try body(batch)
  }

  private func pin(_ id: BatchID) throws(TransferError) -> BatchPointer {
    guard let batch = slot(of: id) else { throw Self.unknown(id) }
    let generation = id.rawValue >> Self.indexBits
    var seen = batch.pointee.pins.load(ordering: .relaxed)
    while true {
      guard seen >> 32 == generation else { throw Self.unknown(id) }
      let outcome = batch.pointee.pins.weakCompareExchange(
        expected: seen, desired: seen + 1, successOrdering: .acquiring, failureOrdering: .relaxed)
      if outcome.exchanged { return batch }
      seen = outcome.original
    }
  }

  /// Frees a batch all of whose requests are settled.
  func free(_ id: BatchID) throws(TransferError) {
    guard let batch = slot(of: id) else { throw Self.unknown(id) }
    let generation = id.rawValue >> Self.indexBits
    guard batch.pointee.pins.load(ordering: .acquiring) >> 32 == generation else { throw Self.unknown(id) }
    guard batch.pointee.outstanding.load(ordering: .acquiring) == 0 else {
      throw TransferError(.busy, "Batch \(id) has requests in flight. Wait for it before you free it.")
    }
    guard batch.pointee.abandoned.load(ordering: .acquiring) == 0 else {
      throw TransferError(
        .busy,
        "Batch \(id) timed out, and the NIC still has a part of it: its memory may still be written."
          + " Free it later, or shut the engine down.")
    }
    // Generations wrap from 2^32-1 to 1: an id never gets a generation of 0.
    let next = generation == UInt64(UInt32.max) ? 1 : generation + 1
    let outcome = batch.pointee.pins.compareExchange(
      expected: generation << 32, desired: next << 32, ordering: .acquiringAndReleasing)
    guard outcome.exchanged else {
      if outcome.original >> 32 != generation { throw Self.unknown(id) }
      throw TransferError(.busy, "Another thread is using batch \(id). Free it when that is done.")
    }
    // Nobody can get at the batch any more. Somebody may have submitted to it between the looks above and now.
    guard batch.pointee.outstanding.load(ordering: .acquiring) == 0,
      batch.pointee.abandoned.load(ordering: .acquiring) == 0
    else {
      batch.pointee.pins.store(generation << 32, ordering: .releasing)
      throw TransferError(.busy, "Batch \(id) has requests in flight. Wait for it before you free it.")
    }
    let capacity = batch.pointee.memory.capacity
    batch.pointee.memory.releaseParts()
    batch.pointee.releaseStream()
    ledger.withLock { ledger in
      ledger.requests -= capacity
      ledger.free.append(batch.pointee.index)
    }
  }

  private func slot(of id: BatchID) -> BatchPointer? {
    let index = Int(truncatingIfNeeded: id.rawValue & Self.indexMask) - 1
    guard index >= 0, index < count.load(ordering: .acquiring) else { return nil }
    return slots[index]
  }

  private static func unknown(_ id: BatchID) -> TransferError {
    TransferError(.invalidArgument, "There is no batch \(id): it was freed, or it is another engine's.")
  }
}
