internal import Glibc
internal import Memory
internal import TestSupport
internal import Testing
internal import Wire

@testable internal import TransferEngine

/// A peer that comes back under its name, and what listens in its place.
@Suite("TCP: other lives of a peer", .serialized)
struct LifeTests {
  private static let length = 1 << 20
  private static let address: UInt = 0x5510_0000_0000

  /// An engine here, and the first life of a peer, which had a pattern written to it.
  private final class Story {
    let engine: TransferEngine
    let buffer: HostBuffer
    let segment: SegmentID
    let first: PeerProcess
    let port: UInt16
    private let settings: [String: String]

    init() throws {
      let port = Int.random(in: 20_000..<32_000)
      settings = ["MC_MIN_RPC_PORT": "\(port)", "MC_MAX_RPC_PORT": "\(port + 1)"]
      engine = try TransferEngine(
        Configuration(localServerName: "127.0.0.1", transports: [.tcp], environment: [:]))
      buffer = try HostBuffer(length: LifeTests.length)
      try engine.register(buffer.baseAddress, length: buffer.length)
      first = try PeerProcess(
        tcp: "127.0.0.1", bufferLength: LifeTests.length, address: LifeTests.address, environment: settings)
      segment = try engine.openSegment(first.name)
      self.port = try Self.dataPort(of: first, engine)
      #expect(try write(seed: 50).state == .completed)
      #expect(try first.mismatch(seed: 50, length: LifeTests.length) == nil)
    }

    deinit { engine.shutdown() }

    static func dataPort(of peer: PeerProcess, _ engine: TransferEngine) throws -> UInt16 {
      UInt16(try engine.segments.fetch(peer.name).snapshot.header.tcpDataPort)
    }

    /// Ends the first life, and begins another with the same two ports in their old roles, or in each other's.
    func restart(length: Int = LifeTests.length, address: UInt = LifeTests.address) throws -> PeerProcess {
      first.kill()
      for _ in 0..<40 {
        let peer = try PeerProcess(tcp: "127.0.0.1", bufferLength: length, address: address, environment: settings)
        // With two ports there are two ways to deal them.
        if peer.name == first.name {
          #expect(try Self.dataPort(of: peer, engine) == port)
          return peer
        }
        peer.kill()
      }
      throw PeerProcess.Failure("in forty lives the ports were never dealt as in the first one")
    }

    func submit(seed: UInt64) throws -> BatchID {
      PatternFill.fill(
        UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: LifeTests.length), seed: seed)
      let batch = try engine.allocateBatch(capacity: 16)
      let block = LifeTests.length / 16
      try engine.submit(
        (0..<16).map { index in
          TransferRequest(
            .write, local: buffer.baseAddress + index * block, target: segment,
            remote: first.address + UInt64(index * block), length: block)
        }, to: batch)
      return batch
    }

    func write(seed: UInt64) throws -> TransferStatus {
      let batch = try submit(seed: seed)
      defer { try? engine.freeBatch(batch) }
      return try engine.wait(for: batch, timeout: .seconds(60))
    }
  }

  @Test("where the memory is there again, a transfer by the old plan finds the new life, at the first attempt")
  func sameAddress() throws {
    let story = try Story()
    let second = try story.restart(length: 3 * Self.length)
    #expect(try second.ask("fill 60 0 \(3 * Self.length)") == "ok")
    #expect(try story.write(seed: 51) == TransferStatus(.completed, transferredBytes: UInt64(Self.length)))
    #expect(try second.mismatch(seed: 51, length: Self.length) == nil)
    #expect(
      try second.mismatch(
        seed: 60, offset: Self.length, length: 2 * Self.length, patternOffset: Self.length) == nil)
    // It was not by chance: the new life's descriptor is in use.
    #expect(try story.engine.describe(story.segment).buffers.map(\.length) == [UInt64(3 * Self.length)])
  }

  @Test("where the memory is not there, nothing is written, and the next attempt is told so")
  func otherAddress() throws {
    let story = try Story()
    // Half of the old plan's addresses are there.
    let second = try story.restart(length: Self.length, address: Self.address + UInt(Self.length / 2))
    #expect(try second.ask("fill 61 0 \(Self.length)") == "ok")
    let batch = try story.engine.allocateBatch(capacity: 1)
    try story.engine.submit(
      [
        TransferRequest(
          .write, local: story.buffer.baseAddress, target: story.segment, remote: story.first.address,
          length: Self.length - 1)
      ], to: batch)
    #expect(try story.engine.wait(for: batch, timeout: .seconds(60)).state == .failed)
    #expect(try second.mismatch(seed: 61, length: Self.length) == nil)
    #expect(story.engine.tcpStatistics?.initiated.failures == 1)
    do {
      _ = try story.write(seed: 52)
      Issue.record("the old plan was taken")
    } catch let error as TransferError {
      #expect(error.code == .metadata, "\(error)")
    }
    #expect(try second.mismatch(seed: 61, length: Self.length) == nil)
  }

  @Test("a peer that is restarted in the middle of transfers is written to again, and only by new plans")
  func middle() throws {
    let story = try Story()
    var batches: [BatchID] = []
    for _ in 0..<50 { batches.append(try story.submit(seed: 53)) }
    let second = try story.restart(length: 2 * Self.length)
    #expect(try second.ask("fill 62 0 \(2 * Self.length)") == "ok")
    for batch in batches {
      #expect(try story.engine.wait(for: batch, timeout: .seconds(60)).isFinal)
      try story.engine.freeBatch(batch)
    }
    let isBack = try eventually { try story.write(seed: 54).state == .completed }
    #expect(isBack)
    #expect(try second.mismatch(seed: 54, length: Self.length) == nil)
    #expect(
      try second.mismatch(seed: 62, offset: Self.length, length: Self.length, patternOffset: Self.length) == nil)
  }

  @Test("somebody else on the peer's port gets a hello, and not one byte of a transfer")
  func stranger() throws {
    let story = try Story()
    let incarnation = try #require(
      try story.engine.segments.segment(story.segment).current.snapshot.header.incarnation)
    story.first.kill()
    let stranger = try RawListener(port: story.port)
    var heard: [UInt8]?
    // A lane that was about to greet the peer when it died has all that waits fail, without another look at the port.
    for _ in 0..<10 where heard == nil {
      let batch = try story.submit(seed: 55)
      // What upstream answers to a request for nothing.
      heard = try stranger.serve(answer: .rejected)
      #expect(try story.engine.wait(for: batch, timeout: .seconds(60)).state == .failed)
    }
    #expect(heard == TCPHello(incarnation: incarnation).encoded)
  }

  @Test("what follows a hello to another life is not served")
  func server() throws {
    let pair = try Pair(length: Self.length)
    #expect(try pair.peer.ask("fill 63 0 \(Self.length)") == "ok")
    let incarnation = try #require(
      try pair.engine.segments.segment(pair.segment).current.snapshot.header.incarnation)
    let write =
      TCPRequestHeader(.write, address: pair.peer.address, size: 8, isAcknowledged: true).encoded
      + [UInt8](repeating: 1, count: 8)
    let wrong = try RawConnection(port: try pair.stream.port)
    wrong.send(TCPHello(incarnation: "somebody").encoded + write)
    #expect(wrong.status() == .otherLife)
    #expect(wrong.isClosedByPeer)
    #expect(try pair.peer.ask("check 63 0 \(Self.length)") == "ok")
    let right = try RawConnection(port: try pair.stream.port)
    right.send(TCPHello(incarnation: incarnation).encoded + write)
    #expect(right.status() == .sameLife)
    #expect(right.status() == .ok)
    #expect(try pair.peer.ask("check 63 0 \(Self.length)") == "mismatch 0")
  }

  private func eventually(_ isMet: () throws -> Bool) rethrows -> Bool {
    for _ in 0..<60 {
      if try isMet() { return true }
      usleep(200_000)
    }
    return false
  }
}
