internal import Synchronization

/// What the workers of a run share.
final class RunState: Sendable {
  private let completed = Atomic<Int>(0)
  private let stopped = Atomic<Bool>(false)
  private let results = Mutex<(latency: LatencyStatistics, failure: CommandFailure?)>((LatencyStatistics(), nil))

  /// Batches that completed.
  var batches: Int { completed.load(ordering: .relaxed) }
  /// One more.
  func countBatch() { completed.wrappingAdd(1, ordering: .relaxed) }

  /// Whether the workers are to end.
  var isStopped: Bool { stopped.load(ordering: .relaxed) }
  /// Asks the workers to end after the batch they are at.
  func stop() { stopped.store(true, ordering: .relaxed) }

  /// Keeps the first failure and stops all.
  func fail(_ failure: CommandFailure) {
    results.withLock { if $0.failure == nil { $0.failure = failure } }
    stop()
  }

  /// Adds the times of a worker that has ended.
  func add(_ latency: LatencyStatistics) { results.withLock { $0.latency.merge(latency) } }

  /// The times of all workers that have ended, or why the run failed.
  func outcome() throws(CommandFailure) -> LatencyStatistics {
    let (latency, failure) = results.withLock { $0 }
    if let failure { throw failure }
    return latency
  }
}
