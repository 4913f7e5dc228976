internal import Glibc
internal import Memory
internal import TestSupport
internal import Testing

@testable internal import TransferEngine

@Suite("Same host: the end of a neighbour", .serialized)
struct LifeTests {
  @Test("a peer that dies ends the batches to it, and every later one, in time", arguments: Path.allCases)
  func killed(_ path: Path) throws {
    for _ in 0..<3 {
      let pair = try Neighbours(path, length: 16 << 20)
      var batches: [BatchID] = []
      for _ in 0..<40 { batches.append(try pair.submit([pair.request(.write, 0, 16 << 20)])) }
      pair.peer.kill()
      for batch in batches {
        // Well before the deadline of a transfer.
        let status = try pair.engine.wait(for: batch, timeout: .seconds(20))
        #expect(status.isFinal)
        try pair.engine.freeBatch(batch)
      }
      #expect(try eventually { try !pair.neighbour.isReachable })
      // Now by the way over TCP, where nobody listens any more.
      let moved = pair.moved
      let request = pair.request(.write, 0, 4096)
      var state: TransferStatus.State?
      let failure = code { state = try pair.move([request]).state }
      #expect(state == .failed || failure != nil)
      #expect(pair.moved == moved)
    }
  }

  @Test("a peer that is restarted under its name is met again, and has only new plans carried out")
  func restarted() throws {
    let settings = PeerProcess.portOfItsOwn()
    let engine = try Neighbours.engine()
    defer { engine.shutdown() }
    let buffer = try HostBuffer(length: 1 << 20)
    try engine.register(buffer.baseAddress, length: buffer.length)
    PatternFill.fill(buffer.bytes, seed: 40)
    // The daemon has one port of the range and TCP the other.
    let port = try #require(settings["MC_MIN_RPC_PORT"].flatMap { Int($0) })
    let ports = ["MC_MIN_RPC_PORT": "\(port)", "MC_MAX_RPC_PORT": "\(port + 1)"]
    let first = try PeerProcess(neighbour: 1 << 20, environment: ports)
    let segment = try engine.openSegment(first.name)
    func write(_ address: UInt64) throws -> TransferStatus {
      let batch = try engine.allocateBatch(capacity: 1)
      defer { try? engine.freeBatch(batch) }
      try engine.submit(
        [TransferRequest(.write, local: buffer.baseAddress, target: segment, remote: address, length: 1 << 20)],
        to: batch)
      return try engine.wait(for: batch, timeout: .seconds(60))
    }
    #expect(try write(first.address).state == .completed)
    #expect(engine.sameHostStatistics?.copiedBytes == 1 << 20)
    first.kill()
    var second: PeerProcess?
    for _ in 0..<40 where second == nil {
      let peer = try PeerProcess(neighbour: 1 << 20, environment: ports)
      // With two ports there are two ways to deal them.
      if peer.name == first.name { second = peer } else { peer.kill() }
    }
    let peer = try #require(second)
    try peer.fill(seed: 41, length: 1 << 20)
    let isBack = eventually {
      // Refused, failed, or with an error: until the new life is known.
      (try? write(peer.address).state) == .completed && engine.sameHostStatistics?.copiedBytes ?? 0 > 1 << 20
    }
    #expect(isBack)
    #expect(try peer.mismatch(seed: 40, length: 1 << 20) == nil)
  }

  @Test("an engine that ends is not in the way of the other", arguments: Path.allCases)
  func otherEnds(_ path: Path) throws {
    let pair = try Neighbours(path, length: 1 << 20)
    #expect(try pair.move([pair.request(.write, 0, 1 << 20)]).state == .completed)
    try pair.peer.tell("exit")
    #expect(try eventually { try !pair.neighbour.isReachable })
    var state: TransferStatus.State?
    let failure = code { state = try pair.move([pair.request(.write, 0, 4096)]).state }
    #expect(state == .failed || failure != nil)
  }

  @Test("the guard page: not where the kernel puts things, not in a child, and gone when taken away")
  func guardPage() throws {
    let page = try GuardPage()
    let other = try GuardPage()
    #expect(page.address != other.address)
    #expect(page.token != other.token)
    #expect(GuardWord.isThere(getpid(), page.address, page.token))
    #expect(!GuardWord.isThere(getpid(), page.address, other.token))
    #expect(mappingFlags(of: page.address).contains("dc"), "a forked child would have the page")
    page.revoke()
    #expect(!GuardWord.isThere(getpid(), page.address, page.token))
    page.revoke()
    #expect(GuardWord.isThere(getpid(), other.address, other.token))
  }
}
