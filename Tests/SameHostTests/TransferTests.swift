internal import Glibc
internal import Memory
internal import TestSupport
internal import Testing

@testable internal import TransferEngine

@Suite("Same host: every byte", .serialized)
struct TransferTests {
  @Test("one request, both directions, nothing beside it", arguments: Path.allCases)
  func sizes(_ path: Path) throws {
    let length = 66 << 20
    let pair = try Neighbours(path, length: length)
    var total: UInt64 = 0
    for (size, offset) in [
      (1, 4095), (7, 1), (4096, 4096), (65_537, 3), (1 << 20, 0), ((1 << 20) + 3, 8191), (5_000_003, 77),
      (64 << 20, 12_345),
    ] {
      pair.fill(1, length)
      try pair.peer.fill(seed: 2, length: length)
      #expect(
        try pair.move([pair.request(.write, offset, size)])
          == TransferStatus(.completed, transferredBytes: UInt64(size)), "\(size)")
      #expect(try pair.peer.mismatch(seed: 1, offset: offset, length: size, patternOffset: offset) == nil)
      #expect(try pair.peer.mismatch(seed: 2, length: offset) == nil)
      let end = offset + size
      #expect(try pair.peer.mismatch(seed: 2, offset: end, length: length - end, patternOffset: end) == nil)

      try pair.peer.fill(seed: 3, length: length)
      #expect(
        try pair.move([pair.request(.read, offset, size)])
          == TransferStatus(.completed, transferredBytes: UInt64(size)), "\(size)")
      #expect(pair.mismatch(3, offset: offset, size, patternOffset: offset) == nil)
      #expect(pair.mismatch(1, offset) == nil)
      #expect(pair.mismatch(1, offset: end, length - end, patternOffset: end) == nil)
      total += UInt64(2 * size)
      #expect(pair.moved == total, "\(size)")
    }
    #expect(pair.streamed == 0)
    #expect(pair.engine.sameHostStatistics?.failures == 0)
  }

  @Test("many requests in one batch, each with its own status", arguments: Path.allCases)
  func batch(_ path: Path) throws {
    let (block, count) = (3001, 4096)
    let pair = try Neighbours(path, length: block * count)
    for opcode in [TransferOpcode.write, .read] {
      pair.fill(4, block * count)
      try pair.peer.fill(seed: 5, length: block * count)
      let batch = try pair.submit((0..<count).map { pair.request(opcode, $0 * block, block) })
      #expect(
        try pair.engine.wait(for: batch, timeout: .seconds(60))
          == TransferStatus(.completed, transferredBytes: UInt64(block * count)))
      for task in 0..<count {
        #expect(
          try pair.engine.status(of: batch, task: task)
            == TransferStatus(.completed, transferredBytes: UInt64(block)))
      }
      try pair.engine.freeBatch(batch)
      if opcode == .write {
        #expect(try pair.peer.mismatch(seed: 4, length: block * count) == nil)
      } else {
        #expect(pair.mismatch(5, block * count) == nil)
      }
    }
    #expect(pair.moved == UInt64(2 * block * count))
    #expect(pair.streamed == 0)
  }

  @Test("a large batch that nobody waits for is moved all the same", arguments: Path.allCases)
  func nobodyWaits(_ path: Path) throws {
    let pair = try Neighbours(path)
    pair.fill(6, 16 << 20)
    let batch = try pair.submit([pair.request(.write, 0, 16 << 20)])
    // Asking moves nothing here.
    #expect(try eventually { try pair.engine.status(of: batch).isFinal })
    #expect(try pair.engine.status(of: batch).state == .completed)
    try pair.engine.freeBatch(batch)
    #expect(try pair.peer.mismatch(seed: 6, length: 16 << 20) == nil)
  }

  @Test("writes and reads mixed, from many threads", arguments: Path.allCases)
  func threads(_ path: Path) throws {
    let share = 1 << 20
    let pair = try Neighbours(path, length: 16 * share)
    let (block, count) = (4099, 200)
    try onThreads(16) { thread in
      let base = thread * share
      for round in 0..<20 {
        let seed = UInt64(1000 + thread * 100 + round)
        pair.fill(seed, offset: base, block * count)
        let writes = try pair.move((0..<count).map { pair.request(.write, base + $0 * block, block) })
        #expect(writes.state == .completed)
        pair.fill(1, offset: base, block * count)
        let reads = try pair.move((0..<count).map { pair.request(.read, base + $0 * block, block) })
        #expect(reads.state == .completed)
        #expect(pair.mismatch(seed, offset: base, block * count) == nil)
      }
    }
    #expect(pair.moved == UInt64(16 * 20 * 2 * block * count))
  }

  @Test("the peer stands still: its memory is there all the same", arguments: Path.allCases)
  func stopped(_ path: Path) throws {
    let pair = try Neighbours(path)
    pair.fill(7, 16 << 20)
    pair.peer.suspend()
    let status = try pair.move([pair.request(.write, 0, 16 << 20)])
    pair.peer.resume()
    #expect(status.state == .completed)
    #expect(try pair.peer.mismatch(seed: 7, length: 16 << 20) == nil)
    #expect(pair.streamed == 0)
  }

  @Test("memory that is registered later is found")
  func registeredLater() throws {
    let pair = try Neighbours(.copied, length: 1 << 20)
    for round in 0..<5 {
      #expect(try pair.peer.ask("unregister") == "ok")
      #expect(try pair.peer.ask("register") == "ok")
      pair.fill(UInt64(10 + round), 1 << 20)
      #expect(try pair.move([pair.request(.write, 0, 1 << 20)]).state == .completed)
      #expect(try pair.peer.mismatch(seed: UInt64(10 + round), length: 1 << 20) == nil)
    }
    #expect(pair.moved == 5 << 20)
  }

  @Test("both ways at once: each of the two is the other's neighbour", arguments: Path.allCases)
  func bothWays(_ path: Path) throws {
    let half = 8 << 20
    let pair = try Neighbours(path, length: 2 * half)
    let own = UInt(bitPattern: pair.buffer.baseAddress)
    for round in 0..<5 {
      let seed = UInt64(20 + 2 * round)
      pair.fill(seed, half)
      try pair.peer.fill(seed: seed + 1, offset: half, length: half)
      try pair.peer.tell("write \(pair.engine.name) \(half) \(own + UInt(half)) \(half / 8) 8")
      #expect(try pair.move([pair.request(.write, 0, half)]).state == .completed)
      #expect(try pair.peer.answer() == "completed \(half)")
      #expect(try pair.peer.mismatch(seed: seed, length: half) == nil)
      #expect(pair.mismatch(seed + 1, offset: half, half) == nil)
    }
    let words = try pair.peer.ask("same-host").split(separator: " ")
    #expect(words[1...2].compactMap { Int($0) }.reduce(0, +) == 5 * half)
  }
}
