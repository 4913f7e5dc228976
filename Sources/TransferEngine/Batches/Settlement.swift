internal import Synchronization

/// Tells tasks and batches what became of their work requests. One thread at a time.
///
/// Batches and regions are told in bulk, because neighbouring requests mostly share them: nobody learns that a batch is
/// done before ``flush()``.
struct Settlement {
  private var batch: BatchPointer?
  private var use: UnsafeMutablePointer<RegionUse>?
  private var count = 0
  private var bytes: UInt64 = 0
  private var settled = 0

  /// Requests settled since this was asked last.
  mutating func takeSettled() -> Int {
    defer { settled = 0 }
    return settled
  }

  /// All bytes of the request are where they belong.
  @inline(__always)
  mutating func complete(_ request: WorkRequestPointer) {
    let length = UInt64(truncatingIfNeeded: request.pointee.length)
    let task = request.pointee.batch.pointee.tasks.unsafelyUnwrapped + Int(request.pointee.task)
    if request.pointee.isPart {
      task.pointee.bytes.add(length, ordering: .relaxed)
      task.pointee.remaining.subtract(1, ordering: .releasing)
    } else {
      task.pointee.bytes.store(length, ordering: .relaxed)
      task.pointee.remaining.store(0, ordering: .releasing)
    }
    count(request, bytes: length)
  }

  /// The request did not complete: `state` is what is to be reported.
  mutating func fail(_ request: WorkRequestPointer, as state: TransferStatus.State) {
    let batch = request.pointee.batch
    let task = batch.pointee.tasks.unsafelyUnwrapped + Int(request.pointee.task)
    task.pointee.worst.max(state.rawValue, ordering: .relaxed)
    batch.pointee.worst.max(state.rawValue, ordering: .relaxed)
    task.pointee.remaining.subtract(1, ordering: .releasing)
    count(request, bytes: 0)
  }

  @inline(__always)
  private mutating func count(_ request: WorkRequestPointer, bytes moved: UInt64) {
    if batch != request.pointee.batch || use != request.pointee.use {
      flush()
      batch = request.pointee.batch
      use = request.pointee.use
    }
    count &+= 1
    bytes &+= moved
    settled &+= 1
  }

  /// Tells the batch what was counted. After this the batch may be gone.
  mutating func flush() {
    guard let batch, let use, count > 0 else { return }
    let (count, bytes) = (count, bytes)
    self.batch = nil
    self.use = nil
    self.count = 0
    self.bytes = 0
    use.pointee.count.subtract(count, ordering: .releasing)
    if bytes > 0 { batch.pointee.transferred.add(bytes, ordering: .relaxed) }
    batch.settle(count)
  }
}
