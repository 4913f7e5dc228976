import TestSupport
import Testing
import TransferEngine

extension EngineTests {
  /// Registrations end within requests: on this side, on the peer's, on both at different places.
  @Suite(.timeLimit(.minutes(2)))
  struct SeamTests {
    enum Side: CaseIterable, Sendable {
      case local
      case remote
      case both
    }

    /// Page-friendly, and with nothing in common but the page.
    private static let localChunk = (1 << 20) + 3 * 4096
    private static let remoteChunk = (1 << 20) - 5 * 4096
    private static let length = 5 << 20

    @Test(arguments: TestFabric.all, Side.allCases)
    func everyByteArrives(_ fabric: TestFabric, _ side: Side) throws {
      let near = try Near(
        fabric, bufferLength: Self.length, environment: side == .remote ? [:] : ["MC_MAX_MR_SIZE": "\(Self.localChunk)"]
      )
      let peer = try PeerProcess(
        provider: fabric.provider, bufferLength: Self.length,
        environment: side == .local ? [:] : ["MC_MAX_MR_SIZE": "\(Self.remoteChunk)"])
      let segment = try near.engine.openSegment(peer.name)
      #expect(try near.engine.describe(.local).buffers.count == (side == .remote ? 1 : 5))
      #expect(try near.engine.describe(segment).buffers.count == (side == .local ? 1 : 6))

      let (here, there) = (Self.localChunk, Self.remoteChunk)
      // (local offset, remote offset, length): all at different distances from the seams.
      var ranges = [
        // One byte on each side of the seams.
        (here - 1, 17, 1), (here, 19, 1), (31, there - 1, 1), (37, there, 1), (here - 1, there, 1),
        (here, there - 1, 1),
        // Across one seam, by one byte on either side of it.
        (here - 1, there - 1, 2), (here - 100, there - 1, 101), (here - 1, there - 100, 101), (here - 3, there - 2, 7),
        // Up to a seam, and from one on.
        (here - 4096, there - 4096, 4096), (here, there, 4096),
        // Over several chunks.
        (1, 2, Self.length - 2), (here - 7, 3, 3 * here), (5, there - 9, 3 * there),
      ]
      ranges.append((0, 0, Self.length))
      for (index, range) in ranges.enumerated() {
        try write(range, seed: UInt64(100 + index), near, peer, segment)
        try read(range, seed: UInt64(200 + index), near, peer, segment)
      }
    }

    /// All ranges of a batch at once, whose parts outnumber the batch's capacity.
    @Test(arguments: TestFabric.sturdy)
    func partsOfManyRequestsStayApart(_ fabric: TestFabric) throws {
      let chunk = ["MC_MAX_MR_SIZE": "8192"]
      let (count, block) = (64, 40_000)
      let near = try Near(fabric, bufferLength: count * block, environment: chunk)
      let peer = try PeerProcess(provider: fabric.provider, bufferLength: count * block + 100, environment: chunk)
      let segment = try near.engine.openSegment(peer.name)
      near.fill(seed: 300, length: count * block)
      let batch = try near.engine.allocateBatch(capacity: count)
      // In two calls, so that the second finds the first under way.
      for half in [0..<(count / 2), (count / 2)..<count] {
        try near.engine.submit(
          half.map { near.request(.write, $0 * block, segment, peer.address + UInt64($0 * block + 100), block) },
          to: batch)
      }
      let status = try near.engine.wait(for: batch, timeout: .seconds(60))
      #expect(status == TransferStatus(.completed, transferredBytes: UInt64(count * block)))
      for task in 0..<count {
        let status = try near.engine.status(of: batch, task: task)
        #expect(status == TransferStatus(.completed, transferredBytes: UInt64(block)))
      }
      try near.engine.freeBatch(batch)
      #expect(try peer.mismatch(seed: 300, offset: 100, length: count * block) == nil)
    }

    /// A hole between two buffers is no seam: nothing of such a batch starts.
    @Test(arguments: TestFabric.all)
    func requestOverAHoleIsRefused(_ fabric: TestFabric) throws {
      let near = try Near(fabric, bufferLength: 4 * 4096, isRegistered: false)
      let peer = try PeerProcess(provider: fabric.provider, bufferLength: 1 << 20)
      let segment = try near.engine.openSegment(peer.name)
      try near.engine.register([BufferEntry(near.base, length: 4096), BufferEntry(near.base + 8192, length: 8192)])
      try peer.fill(seed: 310, length: 1 << 20)
      near.fill(seed: 311, length: near.length)
      let batch = try near.engine.allocateBatch(capacity: 2)
      let fine = near.request(.write, 0, segment, peer.address, 4096)
      let hole = near.request(.write, 0, segment, peer.address + 8192, 3 * 4096)
      #expect(code { try near.engine.submit([fine, hole], to: batch) } == .addressNotRegistered)
      #expect(try near.engine.status(of: batch).transferredBytes == 0)
      try near.engine.freeBatch(batch)
      // Two buffers side by side are as good as one.
      try near.engine.register(near.base + 4096, length: 4096)
      #expect(try near.transfer([near.request(.read, 0, segment, peer.address, near.length)]).state == .completed)
      #expect(near.mismatch(seed: 310, length: near.length) == nil)
      #expect(try peer.mismatch(seed: 310, length: 1 << 20) == nil)
    }

    private func write(
      _ range: (local: Int, remote: Int, length: Int), seed: UInt64, _ near: Near, _ peer: PeerProcess,
      _ segment: SegmentID
    ) throws {
      let length = min(range.length, Self.length - range.local, Self.length - range.remote)
      try peer.fill(seed: 1, length: Self.length)
      near.fill(seed: seed, offset: range.local, length: length)
      let status = try near.transfer([
        near.request(.write, range.local, segment, peer.address + UInt64(range.remote), length)
      ])
      #expect(status == TransferStatus(.completed, transferredBytes: UInt64(length)), "\(range)")
      let end = range.remote + length
      #expect(try peer.mismatch(seed: seed, offset: range.remote, length: length) == nil, "\(range)")
      #expect(try peer.mismatch(seed: 1, length: range.remote) == nil, "before \(range)")
      #expect(
        try peer.mismatch(seed: 1, offset: end, length: Self.length - end, patternOffset: end) == nil, "behind \(range)"
      )
    }

    private func read(
      _ range: (local: Int, remote: Int, length: Int), seed: UInt64, _ near: Near, _ peer: PeerProcess,
      _ segment: SegmentID
    ) throws {
      let length = min(range.length, Self.length - range.local, Self.length - range.remote)
      near.fill(seed: 1, length: Self.length)
      try peer.fill(seed: seed, offset: range.remote, length: length)
      let status = try near.transfer([
        near.request(.read, range.local, segment, peer.address + UInt64(range.remote), length)
      ])
      #expect(status == TransferStatus(.completed, transferredBytes: UInt64(length)), "\(range)")
      let end = range.local + length
      #expect(near.mismatch(seed: seed, offset: range.local, length: length) == nil, "\(range)")
      #expect(near.mismatch(seed: 1, length: range.local) == nil, "before \(range)")
      #expect(
        near.mismatch(seed: 1, offset: end, length: Self.length - end, patternOffset: end) == nil, "behind \(range)")
    }
  }
}
