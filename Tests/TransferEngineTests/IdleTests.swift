import Foundation
import TestSupport
import Testing
import TransferEngine

extension EngineTests {
  /// An engine that nobody uses leaves the processor to others, and is there when a peer wants something.
  @Suite(.timeLimit(.minutes(1)))
  struct IdleTests {
    /// The fabrics that move bytes by the CPU and announce it when there are some.
    private static let announcing = TestFabric.all.filter { $0.provider != "shm" && $0.provider != "sockets" }

    /// How often the peer's progress thread has gone to sleep so far.
    private static func sleeps(of peer: PeerProcess) throws -> Int {
      let tasks = "/proc/\(peer.processIdentifier)/task"
      for task in try FileManager.default.contentsOfDirectory(atPath: tasks) {
        let name = try String(contentsOfFile: "\(tasks)/\(task)/comm", encoding: .utf8)
        guard name == "moonrail-rail-0\n" else { continue }
        let status = try String(contentsOfFile: "\(tasks)/\(task)/status", encoding: .utf8)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("voluntary_ctxt_switches:") })
        return try #require(Int(line.split(whereSeparator: \.isWhitespace)[1]))
      }
      Issue.record("the peer has no progress thread")
      return 0
    }

    /// Transfers that come one by one, after pauses in which the peer's thread has gone to sleep, find it awake; and it
    /// wakes for nothing else.
    @Test(arguments: announcing)
    func theProgressThreadSleepsUntilItIsNeeded(_ fabric: TestFabric) throws {
      let near = try Near(fabric, bufferLength: 4096)
      let peer = try PeerProcess(provider: fabric.provider, bufferLength: 4096)
      let segment = try near.engine.openSegment(peer.name)
      #expect(try near.transfer([near.request(.write, 0, segment, peer.address, 4096)]).state == .completed)
      for seed in 1...3 {
        // The pause is what is looked at: ten sleeps and a few to spare, whatever else the host does.
        let (before, start) = (try Self.sleeps(of: peer), ContinuousClock.now)
        usleep(1_000_000)
        let (slept, passed) = (try Self.sleeps(of: peer) - before, ContinuousClock.now - start)
        #expect(slept <= 40 * Int(passed.components.seconds + 1), "\(slept) sleeps in \(passed)")
        near.fill(seed: UInt64(seed), length: 4096)
        #expect(try near.transfer([near.request(.write, 0, segment, peer.address, 4096)]).state == .completed)
        #expect(try peer.mismatch(seed: UInt64(seed), length: 4096) == nil)
      }
    }
  }
}
