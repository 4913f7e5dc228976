import Memory
import TestSupport
import Testing
import TransferEngine

extension EngineTests {
  /// Engines with NICs and engines without, which meet over TCP.
  @Suite(.timeLimit(.minutes(2)))
  struct BesideTests {
    private static let length = 3_000_001

    /// Moves bytes both ways, each of the two being the initiator once, and says what was moved over TCP.
    private func exchange(_ near: Near, _ peer: PeerProcess) throws {
      let length = Self.length
      let segment = try near.engine.openSegment(peer.name)
      for (block, count) in [(length, 1), (1000, 300)] {
        let total = block * count
        func requests(_ opcode: TransferOpcode) -> [TransferRequest] {
          (0..<count).map {
            near.request(opcode, $0 * block, segment, peer.address + UInt64($0 * block), block)
          }
        }
        near.fill(seed: 80, length: total)
        #expect(try near.transfer(requests(.write)).state == .completed)
        #expect(try peer.mismatch(seed: 80, length: total) == nil)
        try peer.fill(seed: 81, length: total)
        #expect(try near.transfer(requests(.read)).state == .completed)
        #expect(near.mismatch(seed: 81, length: total) == nil)

        let own = UInt(bitPattern: near.base)
        try peer.fill(seed: 82, length: total)
        #expect(try peer.ask("write \(near.engine.name) 0 \(own) \(block) \(count)") == "completed \(total)")
        #expect(near.mismatch(seed: 82, length: total) == nil)
        near.fill(seed: 83, length: total)
        #expect(try peer.ask("read \(near.engine.name) 0 \(own) \(block) \(count)") == "completed \(total)")
        #expect(try peer.mismatch(seed: 83, length: total) == nil)
      }
      let bytes = UInt64(2 * length + 600_000)
      #expect(near.engine.tcpStatistics?.initiated.bytes == bytes)
      // A server counts after it has answered.
      #expect(eventually { near.engine.tcpStatistics?.served.bytes == bytes })
      #expect(near.engine.nics.allSatisfy { $0.completedOperations == 0 })
      try near.engine.warmup(segment: peer.name)
    }

    @Test(arguments: TestFabric.few)
    func nicsHere(_ fabric: TestFabric) throws {
      let near = try Near(fabric, bufferLength: Self.length)
      #expect(!near.engine.nics.isEmpty)
      try exchange(near, try PeerProcess(tcp: "127.0.0.1", bufferLength: Self.length))
    }

    @Test(arguments: TestFabric.few)
    func nicsThere(_ fabric: TestFabric) throws {
      let near = try Near(fabric, bufferLength: Self.length, environment: ["MC_FORCE_TCP": "1"])
      #expect(near.engine.nics.isEmpty)
      let peer = try PeerProcess(provider: fabric.provider, bufferLength: Self.length)
      #expect(peer.nicCount > 0)
      try exchange(near, peer)
    }

    /// Where both sides have NICs, TCP stays out of it.
    @Test(arguments: TestFabric.few)
    func nicsOnBothSides(_ fabric: TestFabric) throws {
      let near = try Near(fabric, bufferLength: 4096)
      let peer = try PeerProcess(provider: fabric.provider, bufferLength: 4096)
      let segment = try near.engine.openSegment(peer.name)
      #expect(try near.transfer([near.request(.write, 0, segment, peer.address, 4096)]).state == .completed)
      #expect(near.engine.tcpStatistics?.initiated.operations == 0)
      #expect(near.engine.nics.contains { $0.completedOperations > 0 })
      #expect(try peer.ask("tcp") == "ok 0 0 0 0 0 0")
    }

    @Test(arguments: TestFabric.few)
    func notWanted(_ fabric: TestFabric) throws {
      let near = try Near(fabric, bufferLength: 4096, environment: ["MC_FORCE_TCP": "1"])
      let peer = try PeerProcess(
        provider: fabric.provider, bufferLength: 4096, environment: ["MOONRAIL_TCP": "0"])
      #expect(try peer.ask("tcp") == "none")
      let segment = try near.engine.openSegment(peer.name)
      let request = near.request(.write, 0, segment, peer.address, 4096)
      #expect(code { _ = try near.start([request]) } == .transportNotSupported)
    }
  }
}
