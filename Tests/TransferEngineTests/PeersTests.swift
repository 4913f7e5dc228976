import TestSupport
import Testing
import TransferEngine

extension EngineTests {
  /// Several peers at once, in both directions, and peers that meet for the first time.
  @Suite(.timeLimit(.minutes(2)))
  struct PeersTests {
    @Test(arguments: TestFabric.sturdy)
    func oneBatchReachesAllPeers(_ fabric: TestFabric) throws {
      let (count, block, rounds) = (4, 256 << 10, 8)
      let near = try Near(fabric, bufferLength: count * block * rounds)
      let peers = try (0..<count).map { _ in
        try PeerProcess(provider: fabric.provider, bufferLength: block * rounds)
      }
      let segments = try peers.map { try near.engine.openSegment($0.name) }
      #expect(Set(segments).count == count)
      near.fill(seed: 400, length: near.length)
      // Peer by peer within each round, so that neighbours in the batch go to different peers.
      let requests = (0..<(count * rounds)).map { index in
        near.request(
          .write, index * block, segments[index % count], peers[index % count].address + UInt64(index / count * block),
          block)
      }
      #expect(try near.transfer(requests) == TransferStatus(.completed, transferredBytes: UInt64(near.length)))
      for index in 0..<(count * rounds) {
        let (peer, round) = (index % count, index / count)
        #expect(
          try peers[peer].mismatch(seed: 400, offset: round * block, length: block, patternOffset: index * block) == nil
        )
      }
    }

    @Test(arguments: TestFabric.sturdy)
    func peersWriteHereWhileWeWriteThere(_ fabric: TestFabric) throws {
      let (count, block, rounds) = (3, 128 << 10, 16)
      let share = block * rounds
      let near = try Near(fabric, bufferLength: 2 * count * share)
      let peers = try (0..<count).map { _ in try PeerProcess(provider: fabric.provider, bufferLength: 2 * share) }
      for (index, peer) in peers.enumerated() {
        try peer.fill(seed: UInt64(410 + index), length: share)
        let target = UInt64(UInt(bitPattern: near.base) + UInt(index * share))
        try peer.tell("write \(near.engine.name) 0 \(target) \(block) \(rounds)")
      }
      // Our own half, while theirs arrives in the other.
      let ours = count * share
      near.fill(seed: 420, offset: ours, length: ours)
      let requests = try peers.enumerated().flatMap { index, peer in
        let segment = try near.engine.openSegment(peer.name)
        return (0..<rounds).map { round in
          near.request(
            .write, ours + index * share + round * block, segment, peer.address + UInt64(share + round * block), block)
        }
      }
      #expect(try near.transfer(requests).state == .completed)
      for (index, peer) in peers.enumerated() {
        #expect(try peer.answer() == "completed \(share)")
        #expect(near.mismatch(seed: UInt64(410 + index), offset: index * share, length: share) == nil)
        #expect(
          try peer.mismatch(seed: 420, offset: share, length: share, patternOffset: index * share) == nil)
      }
    }

    /// Two peers that only serve, and one that does nothing in the engine at all while its memory is read: the far
    /// side's own thread has to move a software fabric on.
    @Test(arguments: TestFabric.sturdy)
    func peersReadFromEachOther(_ fabric: TestFabric) throws {
      let length = 4 << 20
      let (one, two) = (
        try PeerProcess(provider: fabric.provider, bufferLength: 2 * length),
        try PeerProcess(provider: fabric.provider, bufferLength: 2 * length)
      )
      try one.fill(seed: 430, length: length)
      try two.fill(seed: 431, length: length)
      #expect(try one.ask("read \(two.name) \(length) \(two.address) 65536 64") == "completed \(length)")
      #expect(try one.mismatch(seed: 431, offset: length, length: length) == nil)
      #expect(try two.ask("read \(one.name) \(length) \(one.address) 65536 64") == "completed \(length)")
      #expect(try two.mismatch(seed: 430, offset: length, length: length) == nil)
    }

    /// Both connect to each other in the same moment. Each round is a first contact: two new processes.
    @Test(arguments: TestFabric.sturdy, 0..<3)
    func bothMakeFirstContactAtOnce(_ fabric: TestFabric, round: Int) throws {
      let length = 512 << 10
      let one = try PeerProcess(provider: fabric.provider, bufferLength: 2 * length)
      let two = try PeerProcess(provider: fabric.provider, bufferLength: 2 * length)
      try one.fill(seed: 440, length: length)
      try two.fill(seed: 441, length: length)
      try one.tell("write \(two.name) 0 \(two.address + UInt64(length)) 65536 8")
      try two.tell("write \(one.name) 0 \(one.address + UInt64(length)) 65536 8")
      #expect(try one.answer() == "completed \(length)")
      #expect(try two.answer() == "completed \(length)")
      #expect(try two.mismatch(seed: 440, offset: length, length: length) == nil)
      #expect(try one.mismatch(seed: 441, offset: length, length: length) == nil)
    }

    /// Many threads want the same new peer at once: it is asked once, and all get through.
    @Test(arguments: TestFabric.sturdy)
    func manyThreadsMakeFirstContactAtOnce(_ fabric: TestFabric) throws {
      let (threads, block) = (12, 64 << 10)
      let near = try Near(fabric, bufferLength: threads * block)
      let peer = try PeerProcess(provider: fabric.provider, bufferLength: threads * block)
      near.fill(seed: 450, length: near.length)
      let (name, address) = (peer.name, peer.address)
      try onThreads(threads) { index in
        let segment = try near.engine.openSegment(name)
        let offset = index * block
        let status = try near.transfer([near.request(.write, offset, segment, address + UInt64(offset), block)])
        #expect(status == TransferStatus(.completed, transferredBytes: UInt64(block)))
      }
      #expect(try peer.mismatch(seed: 450, length: near.length) == nil)
    }
  }
}
