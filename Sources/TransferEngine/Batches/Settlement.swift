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
  /// Batches whose owners were woken since this was cleared.
  var woken = 0

  /// Requests settled since this was asked last.
  mutating func takeSettled() -> Int {
    defer { settled = 0 }
    return settled
  }

  /// All bytes of the request are where they belong.
  @inline(__always)
  mutating func complete(_ request: WorkRequestPointer) {
    let length = UInt64(truncatingIfNeeded: request.pointee.length)
    let task = request.pointee.batch.pointee.memory.tasks.unsafelyUnwrapped + Int(request.pointee.task)
    if request.pointee.taskCount > 1 {
      Self.completeAll(request, task)
    } else if request.pointee.isPart {
      task.pointee.bytes.add(length, ordering: .relaxed)
      task.pointee.remaining.subtract(1, ordering: .releasing)
    } else {
      task.pointee.complete(request.pointee.length)
    }
    count(request, bytes: length)
  }

  /// The tasks of a request that carries out several, of which `first` is the first.
  @inline(never)
  private static func completeAll(_ request: WorkRequestPointer, _ first: UnsafeMutablePointer<TransferTask>) {
    var rest = request.pointee.length
    for index in 1..<Int(request.pointee.taskCount) {
      let length = (request + index).pointee.length
      rest &-= length
      (first + index).pointee.complete(length)
    }
    first.pointee.complete(rest)
  }

  /// The request did not complete: `state` is what is to be reported.
  mutating func fail(_ request: WorkRequestPointer, as state: TransferStatus.State) {
    request.failTasks(as: state)
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
    if batch.settle(count) { woken += 1 }
  }
}

extension UnsafeMutablePointer where Pointee == WorkRequest {
  /// Tells the tasks that the request carries out, and the batch, that it has failed. The batch still counts it.
  func failTasks(as state: TransferStatus.State) {
    let batch = pointee.batch
    let first = batch.pointee.memory.tasks.unsafelyUnwrapped + Int(pointee.task)
    batch.pointee.worst.max(state.rawValue, ordering: .relaxed)
    for index in 0..<Int(pointee.taskCount) {
      (first + index).pointee.worst.max(state.rawValue, ordering: .relaxed)
      (first + index).pointee.remaining.subtract(1, ordering: .releasing)
    }
  }
}
