internal import Glibc
internal import Memory
internal import TestSupport
internal import Testing

@testable internal import TransferEngine

@Suite("TCP: peers that fail", .serialized)
struct FailureTests {
  @Test("a peer killed in the middle of a batch fails the batch, and the engine goes on")
  func killed() throws {
    let pair = try Pair(length: 64 << 20)
    let other = try PeerProcess(tcp: "127.0.0.1", bufferLength: 1 << 20)
    var batches: [BatchID] = []
    for _ in 0..<20 { batches.append(try pair.submit(.write, block: 1 << 20, count: 64)) }
    pair.peer.kill()
    var failed = 0
    for batch in batches {
      let status = try pair.engine.wait(for: batch, timeout: .seconds(60))
      #expect(status.isFinal)
      if status.state == .failed { failed += 1 }
      try pair.engine.freeBatch(batch)
    }
    #expect(failed > 0)
    try reach(other, from: pair)
    try pair.engine.unregister(pair.buffer.baseAddress)
  }

  @Test("a peer that stops costs its operations' deadline, and no other peer anything")
  func stopped() throws {
    let pair = try Pair(length: 64 << 20, environment: ["MC_TRANSFER_TIMEOUT": "5"])
    let other = try PeerProcess(tcp: "127.0.0.1", bufferLength: 1 << 20)
    try pair.exchange(block: 4096, count: 1)
    pair.peer.suspend()
    defer { pair.peer.resume() }
    let batch = try pair.submit(.write, block: 1 << 20, count: 64)
    try reach(other, from: pair)
    let status = try pair.engine.wait(for: batch, timeout: .seconds(60))
    #expect(status.state == .timedOut)
    // Nothing of it is held any more.
    try pair.engine.freeBatch(batch)
    pair.peer.resume()
    try pair.exchange(block: 4096, count: 100)
    try pair.engine.unregister(pair.buffer.baseAddress)
  }

  @Test("an answer that is late costs the status deadline")
  func late() throws {
    let pair = try Pair(environment: ["MC_TCP_STATUS_TIMEOUT_SEC": "1"])
    try pair.exchange(block: 4096, count: 1)
    pair.peer.suspend()
    let batch = try pair.submit(.read, block: 4096, count: 1)
    #expect(try pair.engine.wait(for: batch, timeout: .seconds(20)).state == .failed)
    pair.peer.resume()
    try pair.exchange(block: 4096, count: 10)
  }

  @Test("connections that have gone meanwhile cost nothing", arguments: ["", "1"])
  func reconnects(protocolVersion: String) throws {
    let pair = try Pair(environment: ["MC_TCP_PROTO": protocolVersion])
    for _ in 0..<5 {
      try pair.exchange(block: 65_536, count: 64)
      try pair.stream.breakConnections()
    }
    try pair.exchange(block: 65_536, count: 64)
  }

  @Test("a write is done when it has arrived, also where nothing acknowledges it", arguments: ["", "1"])
  func arrives(protocolVersion: String) throws {
    let pair = try Pair(length: 1 << 20, environment: ["MC_TCP_PROTO": protocolVersion])
    try pair.exchange(block: 4096, count: 4)
    // The connection is open, and the kernel takes the bytes in the place of a peer that stands still.
    pair.peer.suspend()
    let batch = try pair.submit(.write, block: 4096, count: 4)
    #expect(try !pair.engine.wait(for: batch, timeout: .seconds(1)).isFinal)
    pair.peer.resume()
    #expect(try pair.engine.wait(for: batch, timeout: .seconds(60)).state == .completed)
    try pair.engine.freeBatch(batch)
  }

  @Test("a range that the peer has withdrawn fails that request alone", arguments: ["", "1"])
  func withdrawn(protocolVersion: String) throws {
    let pair = try Pair(length: 1 << 20, environment: ["MC_TCP_PROTO": protocolVersion])
    let other = try PeerProcess(tcp: "127.0.0.1", bufferLength: 1 << 20)
    try pair.exchange(block: 4096, count: 4)
    #expect(try pair.peer.ask("unregister") == "ok")
    #expect(try pair.move(.write, block: 4096, count: 4).state == .failed)
    #expect(try pair.move(.read, block: 4096, count: 4).state == .failed)
    try reach(other, from: pair)
    #expect(try pair.peer.ask("register") == "ok")
    try pair.exchange(block: 4096, count: 4)
  }

  @Test("an engine that shuts down settles what is under way")
  func shutDown() throws {
    let pair = try Pair(length: 64 << 20)
    pair.peer.suspend()
    defer { pair.peer.resume() }
    let batch = try pair.submit(.read, block: 1 << 20, count: 64)
    pair.engine.shutdown()
    #expect(try pair.engine.status(of: batch).state == .failed)
  }

  private func reach(_ other: PeerProcess, from pair: Pair) throws {
    let segment = try pair.engine.openSegment(other.name)
    let batch = try pair.engine.allocateBatch(capacity: 1)
    try pair.engine.submit(
      [TransferRequest(.read, local: pair.buffer.baseAddress, target: segment, remote: other.address, length: 4096)],
      to: batch)
    #expect(try pair.engine.wait(for: batch, timeout: .seconds(30)).state == .completed)
    try pair.engine.freeBatch(batch)
  }
}
