import Glibc
import SimulatedFabric
import Synchronization
import TestSupport
import Testing

@testable import TransferEngine

/// Callers that wait side by side.
@Suite struct WaitingTests {
  /// The processor time of the calling thread, in nanoseconds.
  private static func processorTime() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }

  /// As many as may drive; the others leave the processors to whoever moves the bytes.
  @Test func callersSleepWhileOneDrives() throws {
    var options = FabricOptions()
    options.nicCount = 1
    try Net.run(options) { net in
      let hosts = try TwoHosts(net)
      net.fabric.updateFaults { faults in faults.hold() }
      let batches = try (0..<6).map { _ in try hosts.submit(hosts.requests()) }
      let times = Mutex<[UInt64]>([])
      try onThreads(batches.count) { index in
        let before = Self.processorTime()
        let status = try hosts.engine.wait(for: batches[index], timeout: .milliseconds(600))
        #expect(status.state == .waiting)
        times.withLock { $0.append(Self.processorTime() - before) }
      }
      net.fabric.updateFaults { $0.release() }
      for batch in batches {
        #expect(try hosts.engine.wait(for: batch, timeout: .seconds(20)).state == .completed)
        try hosts.engine.freeBatch(batch)
      }
      // One drives, and another may take over from it when its time is over first.
      let sleepers = times.withLock { $0.sorted().dropLast(2) }
      #expect(sleepers.allSatisfy { $0 < 60_000_000 }, "processor time in nanoseconds: \(sleepers)")
    }
  }

  /// Each takes the processor from the one that drives: what they submit must not wait until all are awake. What was read
  /// and not looked at counts as complete all the same.
  @Test func sleepersAreWokenAFewAtATime() throws {
    var options = FabricOptions()
    options.nicCount = 1
    try Net.run(options, threads: false) { net in
      let (source, target) = (try Bytes(1 << 20, seed: 5), try Bytes(1 << 20))
      let engine = net[0]
      try engine.register(source)
      try net[1].register(target)
      let segment = try engine.openSegment(net[1].name)
      try engine.warmup(segment: net[1].name)
      net.fabric.updateFaults { $0.hold() }
      let batches = try (0..<20).map { _ in
        let batch = try engine.allocateBatch(capacity: 1)
        try engine.submit([TransferRequest(.write, source, segment, target, 0..<source.count)], to: batch)
        try engine.batches.with(batch) { $0.pointee.sleepers.pointee.store(1, ordering: .sequentiallyConsistent) }
        return batch
      }
      net.fabric.updateFaults { $0.release() }
      func completed() throws -> Int {
        try batches.count { try engine.batches.with($0) { $0.status.state == .completed } }
      }
      let rail = engine.progress.rails[0]
      _ = rail.drive(now: Clock.now)
      let (first, left) = (try completed(), rail.outstanding.load(ordering: .relaxed))
      #expect(first > 0 && first < 12)
      #expect(left == batches.count - first)
      #expect(!rail.maySleep())
      rail.close()
      #expect(try completed() == batches.count)
      #expect(rail.outstanding.load(ordering: .relaxed) == 0)
    }
  }
}
