internal import Synchronization

/// Batches whose owners sleep because somebody else holds every baton that they need. Whoever stops driving wakes one
/// of them to take over.
final class Waiters: Sendable {
  private struct List {
    // Addresses, because a pointer is not Sendable; batches outlive the engine's rails.
    var batches: [UInt] = []
  }

  private let list = Mutex(List())
  private let count = Atomic<Int>(0)

  /// How many sleep.
  var number: Int { count.load(ordering: .relaxed) }

  /// Announces that the owner of `batch` is about to sleep.
  func add(_ batch: BatchPointer) {
    list.withLock { list in
      list.batches.append(UInt(bitPattern: batch))
      count.store(list.batches.count, ordering: .sequentiallyConsistent)
    }
  }

  /// The owner of `batch` is awake.
  func remove(_ batch: BatchPointer) {
    list.withLock { list in
      guard let index = list.batches.firstIndex(of: UInt(bitPattern: batch)) else { return }
      list.batches.swapAt(index, list.batches.count - 1)
      list.batches.removeLast()
      count.store(list.batches.count, ordering: .sequentiallyConsistent)
    }
  }

  /// Wakes the one that has slept longest. Returns whether there was one.
  func wakeOne() -> Bool {
    guard count.load(ordering: .sequentiallyConsistent) > 0 else { return false }
    let batch = list.withLock { list -> BatchPointer? in
      guard !list.batches.isEmpty else { return nil }
      let first = list.batches.removeFirst()
      count.store(list.batches.count, ordering: .sequentiallyConsistent)
      return BatchPointer(bitPattern: first)
    }
    batch?.wake()
    return batch != nil
  }
}
