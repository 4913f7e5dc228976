import Memory
import TestSupport
import Testing
import TransferEngine

extension EngineTests {
  /// Peers that come back as somebody else, or with other memory.
  @Suite(.timeLimit(.minutes(2)))
  struct RestartTests {
    private static let length = 1 << 20

    /// Whether a write gets through at the third attempt at the latest: one may find out that something has changed, and
    /// one may meet the old connection while it closes.
    private func getsThrough(_ near: Near, _ segment: SegmentID, _ peer: PeerProcess, seed: UInt64) throws -> Bool {
      near.fill(seed: seed, length: Self.length)
      for _ in 0..<3 {
        let batch = try near.engine.allocateBatch(capacity: 1)
        do {
          try near.engine.submit([near.request(.write, 0, segment, peer.address, Self.length)], to: batch)
        } catch {
          continue
        }
        defer { try? near.engine.freeBatch(batch) }
        if try near.engine.wait(for: batch, timeout: .seconds(30)).state == .completed {
          return try peer.mismatch(seed: seed, length: Self.length) == nil
        }
      }
      return false
    }

    @Test(arguments: TestFabric.sturdy)
    func underANewName(_ fabric: TestFabric) throws {
      let near = try Near(fabric, bufferLength: Self.length, environment: ["MC_TRANSFER_TIMEOUT": "5"])
      let first = try PeerProcess(provider: fabric.provider, bufferLength: Self.length)
      #expect(try getsThrough(near, near.engine.openSegment(first.name), first, seed: 900))
      let second = try PeerProcess(provider: fabric.provider, bufferLength: Self.length)
      first.kill()
      #expect(second.name != first.name)
      #expect(try getsThrough(near, near.engine.openSegment(second.name), second, seed: 901))
    }

    /// Not over shm, where what was sent to a dead process keeps the endpoint from all others.
    @Test(arguments: TestFabric.sturdy.filter { $0.provider != "shm" })
    func underItsOldName(_ fabric: TestFabric) throws {
      let near = try Near(fabric, bufferLength: Self.length, environment: ["MC_TRANSFER_TIMEOUT": "5"])
      let pinned = PeerProcess.portOfItsOwn()
      let first = try PeerProcess(provider: fabric.provider, bufferLength: Self.length, environment: pinned)
      let segment = try near.engine.openSegment(first.name)
      #expect(try getsThrough(near, segment, first, seed: 910))
      first.kill()
      let second = try PeerProcess(
        provider: fabric.provider, bufferLength: 2 * Self.length, environment: pinned)
      #expect(second.name == first.name)
      #expect(try getsThrough(near, segment, second, seed: 911))
    }

    /// Not over shm: a request whose key its target does not know stays at the head of the target's queue for ever.
    @Test(arguments: TestFabric.sturdy.filter { $0.provider != "shm" })
    func memoryThatIsRegisteredAgain(_ fabric: TestFabric) throws {
      let near = try Near(fabric, bufferLength: Self.length, environment: ["MC_TRANSFER_TIMEOUT": "5"])
      let peer = try PeerProcess(provider: fabric.provider, bufferLength: Self.length)
      let segment = try near.engine.openSegment(peer.name)
      #expect(try getsThrough(near, segment, peer, seed: 920))
      #expect(try peer.ask("unregister") == "ok")
      #expect(try peer.ask("register") == "ok")
      #expect(try getsThrough(near, segment, peer, seed: 921))
    }

    /// Memory that the peer registers after it was looked at is found, at the first attempt.
    @Test(arguments: TestFabric.sturdy)
    func memoryThatIsRegisteredLater(_ fabric: TestFabric) throws {
      let near = try Near(fabric, bufferLength: Self.length)
      let peer = try PeerProcess(provider: fabric.provider, bufferLength: Self.length)
      #expect(try peer.ask("unregister") == "ok")
      let segment = try near.engine.openSegment(peer.name)
      let request = near.request(.write, 0, segment, peer.address, Self.length)
      #expect(code { _ = try near.start([request]) } == .metadata)
      #expect(try peer.ask("register") == "ok")
      near.fill(seed: 930, length: Self.length)
      #expect(try near.transfer([request]).state == .completed)
      #expect(try peer.mismatch(seed: 930, length: Self.length) == nil)
    }

    /// Withdrawn memory is neither read nor written.
    @Test(arguments: TestFabric.sturdy)
    func memoryThatIsWithdrawn(_ fabric: TestFabric) throws {
      let near = try Near(fabric, bufferLength: Self.length, environment: ["MC_TRANSFER_TIMEOUT": "5"])
      let peer = try PeerProcess(provider: fabric.provider, bufferLength: Self.length)
      let segment = try near.engine.openSegment(peer.name)
      #expect(try getsThrough(near, segment, peer, seed: 940))
      #expect(try peer.ask("unregister") == "ok")
      near.fill(seed: 941, length: Self.length)
      let batch = try near.engine.allocateBatch(capacity: 1)
      // By the old descriptor; the peer's provider refuses the key.
      let request = near.request(.write, 0, segment, peer.address, Self.length)
      try near.engine.submit([request], to: batch)
      let status = try near.engine.wait(for: batch, timeout: .seconds(30))
      #expect(status.state == .failed || status.state == .timedOut, "\(status)")
      #expect(try peer.mismatch(seed: 940, length: Self.length) == nil)
    }
  }
}
