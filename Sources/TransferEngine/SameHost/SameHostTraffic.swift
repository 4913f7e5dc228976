internal import Synchronization

/// Counts what was moved within the host, from several threads.
final class SameHostTraffic: Sendable {
  private let copied = Atomic<UInt64>(0)
  private let mapped = Atomic<UInt64>(0)
  private let operations = Atomic<UInt64>(0)
  private let failures = Atomic<UInt64>(0)

  /// For what several operations have come to.
  func add(_ counts: SameHostStatistics) {
    if counts.copiedBytes > 0 { copied.add(counts.copiedBytes, ordering: .relaxed) }
    if counts.mappedBytes > 0 { mapped.add(counts.mappedBytes, ordering: .relaxed) }
    if counts.operations > 0 { operations.add(counts.operations, ordering: .relaxed) }
    if counts.failures > 0 { failures.add(counts.failures, ordering: .relaxed) }
  }

  var counts: SameHostStatistics {
    SameHostStatistics(
      copiedBytes: copied.load(ordering: .relaxed), mappedBytes: mapped.load(ordering: .relaxed),
      operations: operations.load(ordering: .relaxed), failures: failures.load(ordering: .relaxed))
  }
}
