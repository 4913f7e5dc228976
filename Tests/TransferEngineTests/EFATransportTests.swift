import Memory
import TestSupport
import Testing
import TransferEngine

extension EngineTests {
  /// The ten that users of the EFA transport know by name.
  @Suite(.timeLimit(.minutes(2)))
  struct EFATransportTests {
    @Test(arguments: TestFabric.all)
    func installTransport(_ fabric: TestFabric) throws {
      let near = try Near(fabric, bufferLength: 4096, isRegistered: false)
      #expect(!near.engine.nics.isEmpty)
      #expect(near.engine.nics.allSatisfy { $0.credits > 0 && $0.completionQueueSize > 0 })
      #expect(near.engine.fabricLibrary?.contains("libfabric") == true)
      #expect(near.engine.name == "127.0.0.1:\(near.engine.rpcPort)")
    }

    @Test(arguments: TestFabric.all)
    func loopbackWrite(_ fabric: TestFabric) throws {
      let near = try Near(fabric, bufferLength: 8192)
      let own = try near.engine.openSegment(near.engine.name)
      #expect(own == .local)
      near.fill(seed: 1, length: 4096)
      let far = UInt64(UInt(bitPattern: near.base) + 4096)
      #expect(try near.transfer([near.request(.write, 0, own, far, 4096)]).state == .completed)
      #expect(near.mismatch(seed: 1, offset: 4096, length: 4096) == nil)
    }

    @Test(arguments: TestFabric.all)
    func writeAndRead(_ fabric: TestFabric) throws {
      let length = 4_096_000
      let (near, peer) = (try Near(fabric, bufferLength: 2 * length), try PeerProcess(provider: fabric.provider))
      let segment = try near.engine.openSegment(peer.name)
      near.fill(seed: 2, length: length)
      let written = try near.transfer([near.request(.write, 0, segment, peer.address, length)])
      #expect(written == TransferStatus(.completed, transferredBytes: UInt64(length)))
      #expect(try peer.mismatch(seed: 2, length: length) == nil)
      #expect(try peer.mismatch(seed: 2, offset: length, length: 1, patternOffset: length) == 0, "one byte too many")
      let read = try near.transfer([near.request(.read, length, segment, peer.address, length)])
      #expect(read == TransferStatus(.completed, transferredBytes: UInt64(length)))
      #expect(near.mismatch(seed: 2, offset: length, length: length) == nil)
    }

    @Test(arguments: TestFabric.all)
    func multiWrite(_ fabric: TestFabric) throws {
      let (count, block) = (16, 64 << 10)
      let (near, peer) = (try Near(fabric, bufferLength: count * block), try PeerProcess(provider: fabric.provider))
      let segment = try near.engine.openSegment(peer.name)
      near.fill(seed: 3, length: count * block)
      // Every block goes to the mirrored place, so that blocks cannot be mixed up unseen.
      let batch = try near.start(
        (0..<count).map {
          near.request(.write, $0 * block, segment, peer.address + UInt64((count - 1 - $0) * block), block)
        })
      #expect(try near.engine.wait(for: batch, timeout: .seconds(60)).state == .completed)
      for task in 0..<count {
        let status = try near.engine.status(of: batch, task: task)
        #expect(status == TransferStatus(.completed, transferredBytes: UInt64(block)))
      }
      try near.engine.freeBatch(batch)
      for index in 0..<count {
        let offset = (count - 1 - index) * block
        #expect(try peer.mismatch(seed: 3, offset: offset, length: block, patternOffset: index * block) == nil)
      }
    }

    @Test(arguments: TestFabric.all)
    func stressMultipleBatches(_ fabric: TestFabric) throws {
      let (batches, count, block) = (20, 8, 32 << 10)
      let total = batches * count * block
      let (near, peer) = (try Near(fabric, bufferLength: total), try PeerProcess(provider: fabric.provider))
      let segment = try near.engine.openSegment(peer.name)
      near.fill(seed: 4, length: total)
      for batch in 0..<batches {
        let requests = (0..<count).map { index in
          let offset = (batch * count + index) * block
          return near.request(.write, offset, segment, peer.address + UInt64(offset), block)
        }
        #expect(try near.transfer(requests).state == .completed)
      }
      #expect(try peer.mismatch(seed: 4, length: total) == nil)
    }

    @Test(arguments: TestFabric.all)
    func warmupSegmentLoopback(_ fabric: TestFabric) throws {
      let (near, peer) = (try Near(fabric, bufferLength: 4096), try PeerProcess(provider: fabric.provider))
      for _ in 0..<2 {
        try near.engine.warmup(segment: near.engine.name)
        try near.engine.warmup(segment: "")
        let segment = try near.engine.openSegment(peer.name)
        let report = try near.engine.warmup(segment: peer.name)
        #expect(report.pairs == near.engine.nics.count)
        #expect(report.connected == report.pairs)
        #expect(report.peerNICs == peer.nicCount)
        // What is warm needs no connection: this form refuses to make one.
        let batch = try near.engine.allocateBatch(capacity: 1)
        #expect(try near.engine.submitIfConnected([near.request(.write, 0, segment, peer.address, 8)], to: batch))
        #expect(try near.engine.wait(for: batch, timeout: .seconds(60)).state == .completed)
        try near.engine.freeBatch(batch)
      }
    }

    @Test(arguments: TestFabric.all)
    func warmupSegmentNotFound(_ fabric: TestFabric) throws {
      let near = try Near(fabric, bufferLength: 4096)
      #expect(code { try near.engine.warmup(segment: "127.0.0.1:1") } == .socket)
      #expect(code { _ = try near.engine.openSegment("127.0.0.1:1") } == .socket)
    }

    @Test(arguments: TestFabric.all)
    func registerMemoryBatch(_ fabric: TestFabric) throws {
      let (count, block) = (4, 4 << 20)
      let near = try Near(fabric, bufferLength: count * block, isRegistered: false)
      let peer = try PeerProcess(provider: fabric.provider, bufferLength: count * block)
      let segment = try near.engine.openSegment(peer.name)
      let places = (0..<count).map { near.base + $0 * block }
      for round in 0..<2 {
        try near.engine.register(places.map { BufferEntry($0, length: block) })
        #expect(try near.engine.describe(.local).buffers.map(\.length) == Array(repeating: UInt64(block), count: count))
        near.fill(seed: UInt64(5 + round), length: count * block)
        let requests = (0..<count).map {
          near.request(.write, $0 * block, segment, peer.address + UInt64($0 * block), block)
        }
        #expect(try near.transfer(requests).state == .completed)
        #expect(try peer.mismatch(seed: UInt64(5 + round), length: count * block) == nil)
        try near.engine.unregister(places)
        #expect(try near.engine.describe(.local).buffers.isEmpty)
      }
    }

    @Test(arguments: TestFabric.all)
    func largeTransfer(_ fabric: TestFabric) throws {
      let (count, block) = (64, 1 << 20)
      let near = try Near(fabric, bufferLength: 128 << 20)
      let peer = try PeerProcess(provider: fabric.provider, bufferLength: 128 << 20)
      let segment = try near.engine.openSegment(peer.name)
      near.fill(seed: 7, length: count * block)
      let writes = (0..<count).map {
        near.request(.write, $0 * block, segment, peer.address + UInt64($0 * block), block)
      }
      #expect(try near.transfer(writes).transferredBytes == UInt64(count * block))
      #expect(try peer.mismatch(seed: 7, length: count * block) == nil)
      let reads = (0..<count).map {
        near.request(.read, (count + $0) * block, segment, peer.address + UInt64($0 * block), block)
      }
      #expect(try near.transfer(reads).transferredBytes == UInt64(count * block))
      #expect(near.mismatch(seed: 7, offset: count * block, length: count * block) == nil)
    }

    /// As one request, which some providers would not take in one operation.
    @Test(arguments: TestFabric.all)
    func largeRequest(_ fabric: TestFabric) throws {
      let length = 40 << 20
      let near = try Near(fabric, bufferLength: length)
      let peer = try PeerProcess(provider: fabric.provider, bufferLength: length)
      let segment = try near.engine.openSegment(peer.name)
      near.fill(seed: 8, length: length)
      #expect(try near.transfer([near.request(.write, 0, segment, peer.address, length)]).state == .completed)
      #expect(try peer.mismatch(seed: 8, length: length) == nil)
      try peer.fill(seed: 9, length: length)
      #expect(try near.transfer([near.request(.read, 0, segment, peer.address, length)]).state == .completed)
      #expect(near.mismatch(seed: 9, length: length) == nil)
    }

    @Test(arguments: TestFabric.all)
    func repeatedOpenSegment(_ fabric: TestFabric) throws {
      let length = 64 << 10
      let (near, peer) = (try Near(fabric, bufferLength: length), try PeerProcess(provider: fabric.provider))
      for round in 0..<8 {
        let segment = try near.engine.openSegment(peer.name)
        #expect(try near.engine.openSegment(peer.name) == segment)
        near.fill(seed: UInt64(10 + round), length: length)
        #expect(try near.transfer([near.request(.write, 0, segment, peer.address, length)]).state == .completed)
        #expect(try peer.mismatch(seed: UInt64(10 + round), length: length) == nil)
        // Every other round forgets the segment, so that the next one starts from nothing.
        if round % 2 == 1 {
          for _ in 0..<(2 * 2) { try near.engine.closeSegment(segment) }
          #expect(code { _ = try near.engine.describe(segment) } == .invalidArgument)
        }
      }
    }
  }
}
