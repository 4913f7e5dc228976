import Moonrail
import TestSupport
import Testing
import TransferEngine

extension EngineTests {
  /// The forms that suspend.
  @Suite(.timeLimit(.minutes(1)))
  struct AsyncTests {
    @Test(arguments: TestFabric.sturdy)
    func manyTasksAtOnce(_ fabric: TestFabric) async throws {
      let (tasks, count, block) = (100, 8, 8 << 10)
      let near = try Near(fabric, bufferLength: 2 * tasks * count * block)
      let peer = try PeerProcess(provider: fabric.provider, bufferLength: tasks * count * block)
      let segment = try await near.engine.openSegment(named: peer.name)
      near.fill(seed: 1000, length: tasks * count * block)
      let address = peer.address
      // Nobody has connected yet: they all meet the new peer at once.
      try await withThrowingTaskGroup(of: TransferStatus.self) { group in
        for task in 0..<tasks {
          group.addTask {
            let places = (0..<count).map { (task * count + $0) * block }
            let writes = places.map { near.request(.write, $0, segment, address + UInt64($0), block) }
            let written = try await near.engine.transfer(writes)
            guard written.state == .completed else { return written }
            let back = tasks * count * block
            return try await near.engine.transfer(
              places.map { near.request(.read, back + $0, segment, address + UInt64($0), block) })
          }
        }
        for try await status in group {
          #expect(status == TransferStatus(.completed, transferredBytes: UInt64(count * block)))
        }
      }
      #expect(try peer.mismatch(seed: 1000, length: tasks * count * block) == nil)
      #expect(near.mismatch(seed: 1000, offset: tasks * count * block, length: tasks * count * block) == nil)
    }

    @Test(arguments: TestFabric.all)
    func errorsComeThrough(_ fabric: TestFabric) async throws {
      let near = try Near(fabric, bufferLength: 4096)
      let peer = try PeerProcess(provider: fabric.provider, bufferLength: 4096)
      await #expect(throws: TransferError.self) { try await near.engine.openSegment(named: "127.0.0.1:1") }
      await #expect(throws: TransferError.self) { try await near.engine.warmup(segmentNamed: "127.0.0.1:1") }
      let segment = try await near.engine.openSegment(named: peer.name)
      try await near.engine.warmup(segmentNamed: peer.name)
      await #expect(throws: TransferError.self) {
        try await near.engine.transfer([near.request(.write, 4090, segment, peer.address, 16)])
      }
      let nothing = try await near.engine.transfer([])
      #expect(nothing == TransferStatus(.completed, transferredBytes: 0))
      try await near.engine.sendNotification(to: peer.name, NotificationMessage(name: "a", message: "b"))
      #expect(try peer.ask("notifications") == "ok a=b")
    }

    /// A shutdown resumes who is suspended.
    @Test(arguments: TestFabric.all)
    func shutdownResumes(_ fabric: TestFabric) async throws {
      let near = try Near(fabric, bufferLength: 1 << 20)
      let peer = try PeerProcess(provider: fabric.provider, bufferLength: 1 << 20)
      let segment = try await near.engine.openSegment(named: peer.name)
      try await near.engine.warmup(segmentNamed: peer.name)
      peer.suspend()
      defer { peer.resume() }
      let read = near.request(.read, 0, segment, peer.address, 1 << 20)
      async let status = near.engine.transfer([read])
      near.engine.shutdown()
      do {
        let state = try await status.state
        #expect(state == .failed)
      } catch let error as TransferError {
        // It had not begun.
        #expect(error.code == .shutDown)
      }
    }
  }
}
