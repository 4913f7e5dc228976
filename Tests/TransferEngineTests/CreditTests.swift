import TestSupport
import Testing
import TransferEngine

extension EngineTests {
  /// More work than credits waits; it neither fails nor gets ahead of the provider. Requests are in falling order, so
  /// that they do not become fewer operations.
  @Suite(.timeLimit(.minutes(2)))
  struct CreditTests {
    @Test(arguments: TestFabric.sturdy, [1, 8])
    func areNeverExceeded(_ fabric: TestFabric, credits: Int) throws {
      let (threads, batches, count, block) = (8, 4, 32, 4096)
      let total = threads * batches * count * block
      let near = try Near(fabric, bufferLength: total, environment: ["MC_MAX_WR": "\(credits)"])
      let peer = try PeerProcess(provider: fabric.provider, bufferLength: total)
      let segment = try near.engine.openSegment(peer.name)
      try near.engine.warmup(segment: peer.name)
      near.fill(seed: 600, length: total)
      let address = peer.address
      try onThreads(threads) { thread in
        // All of a thread's batches are under way at once.
        let started = try (0..<batches).map { batch in
          try near.start(
            (0..<count).reversed().map { index in
              let offset = ((thread * batches + batch) * count + index) * block
              return near.request(.write, offset, segment, address + UInt64(offset), block)
            })
        }
        for batch in started {
          let status = try near.engine.wait(for: batch, timeout: .seconds(60))
          #expect(status == TransferStatus(.completed, transferredBytes: UInt64(count * block)))
          try near.engine.freeBatch(batch)
        }
      }
      #expect(try peer.mismatch(seed: 600, length: total) == nil)
      let nics = near.engine.nics
      for nic in nics {
        #expect(nic.credits == min(credits, nic.transmitDepth, nic.completionQueueSize))
        #expect(nic.maximumInFlight <= nic.credits)
        #expect(nic.maximumInFlight > 0)
      }
      #expect(nics.reduce(0) { $0 + $1.completedOperations } == UInt64(threads * batches * count))
      #expect(nics.reduce(0) { $0 + $1.transferredBytes } == UInt64(total))
    }

    @Test(arguments: TestFabric.sturdy)
    func theProvidersOwnNumberIsKept(_ fabric: TestFabric) throws {
      let (count, block) = (8192, 512)
      let near = try Near(fabric, bufferLength: count * block)
      let peer = try PeerProcess(provider: fabric.provider, bufferLength: count * block)
      let segment = try near.engine.openSegment(peer.name)
      near.fill(seed: 610, length: near.length)
      let requests = (0..<count).reversed().map {
        near.request(.write, $0 * block, segment, peer.address + UInt64($0 * block), block)
      }
      #expect(try near.transfer(requests).state == .completed)
      #expect(try peer.mismatch(seed: 610, length: near.length) == nil)
      for nic in near.engine.nics {
        #expect(nic.credits <= min(nic.transmitDepth, nic.completionQueueSize))
        #expect(nic.maximumInFlight <= nic.credits)
      }
    }
  }
}
