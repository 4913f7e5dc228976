internal import Memory
internal import TestSupport
internal import Testing
internal import TransferEngine

@Suite("TCP: transfers between two processes", .serialized)
struct TransferTests {
  @Test(
    "every size arrives, both ways, in both framings, on one lane and on four",
    arguments: ["", "1"], ["1", "4"])
  func sizes(protocolVersion: String, lanes: String) throws {
    let pair = try Pair(
      environment: ["MC_TCP_PROTO": protocolVersion, "MC_TCP_LANES_PER_PEER": lanes])
    for size in [1, 2, 23, 24, 25, 4095, 4096, 65_535, 65_536, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 9_999_991] {
      try pair.exchange(block: size, count: 1)
    }
    for (block, count) in [(1, 4096), (3000, 4096), (65_536, 128), (1 << 20, 16), (777_777, 20), (100, 2)] {
      try pair.exchange(block: block, count: count)
    }
  }

  @Test("333 MB in one request")
  func large() throws {
    let pair = try Pair(length: 333_000_000)
    try pair.exchange(block: 333_000_000, count: 1)
  }

  @Test("IPv6, with brackets in the name")
  func ipv6() throws {
    let pair = try Pair(host: "[::1]")
    #expect(pair.engine.name.hasPrefix("[::1]:"))
    try pair.exchange(block: 100_000, count: 64)
  }

  @Test("more requests than the queues hold make the caller wait, and none of them fail")
  func bounds() throws {
    let pair = try Pair(environment: [
      "MC_TCP_MAX_QUEUED_TRANSFERS_PER_PEER": "8", "MC_TCP_MAX_PENDING_ADMISSIONS_PER_PEER": "8",
    ])
    try pair.exchange(block: 4096, count: 200)
    try pair.exchange(block: 4096, count: 4000)
  }

  @Test("without the pool every exchange has its own connection")
  func noPool() throws {
    let pair = try Pair(environment: ["MC_TCP_ENABLE_CONNECTION_POOL": "0"])
    for _ in 0..<5 { try pair.exchange(block: 1000, count: 100) }
  }

  @Test("a request that crosses registrations is split where a server would refuse it")
  func seams() throws {
    let pair = try Pair(length: 4 << 20)
    // The same memory of this side, as four neighbours.
    try pair.engine.unregister(pair.buffer.baseAddress)
    for quarter in 0..<4 { try pair.engine.register(pair.buffer.baseAddress + quarter << 20, length: 1 << 20) }
    try pair.exchange(block: 4 << 20, count: 1)
    try pair.exchange(block: 700_001, count: 5)
  }

  @Test("a zero length completes without the peer")
  func empty() throws {
    let pair = try Pair()
    pair.peer.kill()
    let batch = try pair.engine.allocateBatch(capacity: 1)
    try pair.engine.submit(
      [TransferRequest(.write, local: pair.buffer.baseAddress, target: pair.segment, remote: 1, length: 0)], to: batch)
    #expect(try pair.engine.wait(for: batch, timeout: .seconds(5)).state == .completed)
  }

  @Test("MC_FORCE_TCP makes any engine a TCP engine")
  func forced() throws {
    let engine = try TransferEngine(
      Configuration(localServerName: "127.0.0.1", transports: [.efa], environment: ["MC_FORCE_TCP": ""]))
    defer { engine.shutdown() }
    #expect(try engine.describe(.local).transport == "tcp")
    #expect(engine.nics.isEmpty)
  }

  @Test("memory that peers may not touch is not published")
  func unpublished() throws {
    let pair = try Pair(access: "none")
    #expect(try pair.engine.describe(pair.segment).buffers.isEmpty)
    #expect(throws: TransferError.self) { try pair.move(.read, block: 100, count: 1) }
  }
}
