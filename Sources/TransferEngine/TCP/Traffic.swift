internal import Synchronization

/// Counts what was moved over TCP, from several threads.
final class Traffic: Sendable {
  private let bytes = Atomic<UInt64>(0)
  private let operations = Atomic<UInt64>(0)
  private let failures = Atomic<UInt64>(0)

  /// For what several operations have come to: not to be called for each of many.
  func add(_ counts: TCPStatistics.Counts) {
    if counts.bytes > 0 { bytes.add(counts.bytes, ordering: .relaxed) }
    if counts.operations > 0 { operations.add(counts.operations, ordering: .relaxed) }
    if counts.failures > 0 { failures.add(counts.failures, ordering: .relaxed) }
  }

  /// The same where one thread counts and others only look: as cheap as a variable.
  func addAlone(_ counts: TCPStatistics.Counts) {
    bytes.store(bytes.load(ordering: .relaxed) &+ counts.bytes, ordering: .relaxed)
    operations.store(operations.load(ordering: .relaxed) &+ counts.operations, ordering: .relaxed)
    failures.store(failures.load(ordering: .relaxed) &+ counts.failures, ordering: .relaxed)
  }

  /// What has come together.
  var counts: TCPStatistics.Counts {
    TCPStatistics.Counts(
      bytes: bytes.load(ordering: .relaxed), operations: operations.load(ordering: .relaxed),
      failures: failures.load(ordering: .relaxed))
  }
}

extension TCPStatistics.Counts {
  mutating func add(_ other: Self) {
    bytes &+= other.bytes
    operations &+= other.operations
    failures &+= other.failures
  }
}
