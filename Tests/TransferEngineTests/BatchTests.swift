import TestSupport
import Testing
import TransferEngine

extension EngineTests {
  /// What is asked wrongly is answered with an error that says so, and nothing else happens.
  @Suite(.timeLimit(.minutes(1)))
  struct BatchTests {
    @Test(arguments: TestFabric.few)
    func idsThatAreNoneAreRefused(_ fabric: TestFabric) throws {
      let (near, other) = (try Near(fabric, bufferLength: 4096), try Near(fabric, bufferLength: 4096))
      let freed = try near.engine.allocateBatch(capacity: 1)
      try near.engine.freeBatch(freed)
      let successor = try near.engine.allocateBatch(capacity: 1)
      #expect(successor != freed, "an id came twice")
      // Another engine's, of which this one has not that many.
      let foreign = try (0..<3).map { _ in try other.engine.allocateBatch(capacity: 1) }
      let noBatches = [freed, foreign[2]] + [0, 1, .max, UInt64.max << 32].map(BatchID.init(rawValue:))
      for id in noBatches {
        #expect(code { _ = try near.engine.status(of: id) } == .invalidArgument, "\(id)")
        #expect(code { _ = try near.engine.status(of: id, task: 0) } == .invalidArgument, "\(id)")
        #expect(code { _ = try near.engine.wait(for: id, timeout: .seconds(1)) } == .invalidArgument, "\(id)")
        #expect(code { try near.engine.freeBatch(id) } == .invalidArgument, "\(id)")
        #expect(code { try near.engine.whenDone(id) {} } == .invalidArgument, "\(id)")
        let request = near.request(.write, 0, .local, UInt64(UInt(bitPattern: near.base)), 8)
        #expect(code { try near.engine.submit([request], to: id) } == .invalidArgument, "\(id)")
      }
      try near.engine.freeBatch(successor)
    }

    @Test(arguments: TestFabric.few)
    func capacityIsALimit(_ fabric: TestFabric) throws {
      let near = try Near(fabric, bufferLength: 8192)
      for capacity in [0, -1, .min] {
        #expect(code { _ = try near.engine.allocateBatch(capacity: capacity) } == .invalidArgument)
      }
      #expect(code { _ = try near.engine.allocateBatch(capacity: .max) } == .tooManyRequests)
      let batch = try near.engine.allocateBatch(capacity: 3)
      let copy = near.request(.write, 0, .local, UInt64(UInt(bitPattern: near.base) + 4096), 16)
      try near.engine.submit([copy, copy], to: batch)
      #expect(code { try near.engine.submit([copy, copy], to: batch) } == .tooManyRequests)
      try near.engine.submit([copy], to: batch)
      #expect(code { try near.engine.submit([copy], to: batch) } == .tooManyRequests)
      try near.engine.submit([], to: batch)
      #expect(try near.engine.status(of: batch) == TransferStatus(.completed, transferredBytes: 48))
      for task in [-1, 3, .max] {
        #expect(code { _ = try near.engine.status(of: batch, task: task) } == .invalidArgument)
      }
      try near.engine.freeBatch(batch)
    }

    @Test(arguments: TestFabric.few)
    func badRequestsStartNothing(_ fabric: TestFabric) throws {
      let near = try Near(fabric, bufferLength: 8192)
      let peer = try PeerProcess(provider: fabric.provider, bufferLength: 8192)
      let segment = try near.engine.openSegment(peer.name)
      try peer.fill(seed: 700, length: 8192)
      near.fill(seed: 701, length: 8192)
      let (own, theirs) = (UInt64(UInt(bitPattern: near.base)), peer.address)
      let fine = near.request(.write, 0, segment, theirs, 64)
      let outside = UnsafeMutableRawPointer(bitPattern: 4096) ?? near.base
      let cases: [(TransferRequest, TransferError.Code, String)] = [
        (near.request(.write, 0, segment, theirs, -1), .invalidArgument, "negative"),
        (near.request(.write, 0, .local, own, .min), .invalidArgument, "negative copy"),
        (near.request(.write, 8191, segment, theirs, 2), .addressNotRegistered, "past the end here"),
        (near.request(.read, 0, segment, theirs + 8191, 2), .metadata, "past the end there"),
        (near.request(.read, 0, segment, theirs - 1, 2), .metadata, "before the start there"),
        (near.request(.read, 0, segment, .max, 2), .metadata, "the last address there"),
        (near.request(.read, 0, segment, 0, 2), .metadata, "address 0 there"),
        (near.request(.write, 0, .local, own + 8191, 2), .addressNotRegistered, "past the end of a copy"),
        (near.request(.write, 0, .local, .max, 2), .addressNotRegistered, "a copy to the last address"),
        (
          TransferRequest(.write, local: outside, target: segment, remote: theirs, length: 8), .addressNotRegistered,
          "unregistered"
        ),
        (near.request(.write, 0, SegmentID(rawValue: 77), theirs, 8), .invalidArgument, "unopened"),
        (near.request(.write, 0, SegmentID(rawValue: .max), theirs, 8), .invalidArgument, "no number"),
      ]
      for (request, expected, what) in cases {
        let batch = try near.engine.allocateBatch(capacity: 3)
        #expect(code { try near.engine.submit([fine, request, fine], to: batch) } == expected, "\(what)")
        #expect(try near.engine.status(of: batch).transferredBytes == 0)
        // The batch is as good as new.
        try near.engine.submit([near.request(.read, 4096, segment, theirs, 64)], to: batch)
        #expect(try near.engine.wait(for: batch, timeout: .seconds(60)).state == .completed, "\(what)")
        try near.engine.freeBatch(batch)
      }
      #expect(try peer.mismatch(seed: 700, length: 8192) == nil, "a request of a refused call was carried out")
    }

    @Test(arguments: TestFabric.few)
    func nothingToMoveIsComplete(_ fabric: TestFabric) throws {
      let near = try Near(fabric, bufferLength: 4096)
      let peer = try PeerProcess(provider: fabric.provider, bufferLength: 4096)
      let segment = try near.engine.openSegment(peer.name)
      let own = UInt64(UInt(bitPattern: near.base))
      for requests in [
        [near.request(.write, 0, segment, peer.address, 0)], [near.request(.read, 0, .local, own, 0)],
        [near.request(.read, 0, segment, peer.address, 0), near.request(.write, 0, segment, peer.address, 8)],
      ] {
        let moved = UInt64(requests.reduce(0) { $0 + $1.length })
        #expect(try near.transfer(requests) == TransferStatus(.completed, transferredBytes: moved))
      }
    }

    @Test(arguments: TestFabric.few)
    func segmentsThatAreNotOpenAreRefused(_ fabric: TestFabric) throws {
      let near = try Near(fabric, bufferLength: 4096)
      let peer = try PeerProcess(provider: fabric.provider, bufferLength: 4096)
      for name in ["", "/", "//"] { #expect(code { _ = try near.engine.openSegment(name) } == .invalidArgument) }
      let segment = try near.engine.openSegment(peer.name)
      try near.engine.closeSegment(segment)
      #expect(code { try near.engine.closeSegment(segment) } == .invalidArgument)
      #expect(code { _ = try near.engine.describe(segment) } == .invalidArgument)
      let batch = try near.engine.allocateBatch(capacity: 1)
      let request = near.request(.write, 0, segment, peer.address, 8)
      #expect(code { try near.engine.submit([request], to: batch) } == .invalidArgument)
      #expect(try near.engine.openSegment(peer.name) != segment, "a closed segment's number came back")
    }

    @Test(arguments: TestFabric.few)
    func registrationsThatCannotBeAreRefused(_ fabric: TestFabric) throws {
      let near = try Near(fabric, bufferLength: 4 * 4096, isRegistered: false)
      try near.engine.register(near.base + 4096, length: 4096)
      #expect(code { try near.engine.register(near.base + 4096, length: 4096) } == .addressOverlapped)
      #expect(code { try near.engine.register(near.base, length: 4097) } == .addressOverlapped)
      #expect(code { try near.engine.register(near.base + 8191, length: 1) } == .addressOverlapped)
      for length in [0, -1, .min] {
        #expect(code { try near.engine.register(near.base, length: length) } == .invalidArgument)
      }
      #expect(code { try near.engine.unregister(near.base) } == .addressNotRegistered)
      // All or none: the second of these overlaps, and the first is free again.
      let pair = [BufferEntry(near.base, length: 4096), BufferEntry(near.base + 4096, length: 1)]
      #expect(code { try near.engine.register(pair) } == .addressOverlapped)
      try near.engine.register(near.base, length: 4096)
      // All are attempted, the first error is thrown.
      #expect(
        code { try near.engine.unregister([near.base + 12288, near.base, near.base + 4096]) } == .addressNotRegistered)
      #expect(try near.engine.describe(.local).buffers.isEmpty)
    }
  }
}
