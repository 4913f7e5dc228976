internal import Dispatch
internal import Glibc
internal import Memory
internal import TestSupport
internal import Testing
internal import Wire

@testable internal import TransferEngine

/// Callers that send and receive themselves, and what becomes of an exchange when they do not stay until its end.
@Suite("TCP: callers that work a lane", .serialized)
struct CallerTests {
  @Test("who submits little has sent it, and who waits receives the answer: no thread takes part", arguments: 1...3)
  func alone(round: Int) throws {
    let host = try StreamHost(length: 4096)
    try host.connect()
    let before = host.slot.loans
    let id = try host.submit(.write, 4096)
    // It is there before anybody waits.
    #expect(host.slot.loans == before + 1)
    #expect(try host.take(.write, 4096))
    host.answer()
    #expect(try host.wait(id, milliseconds: 20_000) == TransferStatus(.completed, transferredBytes: 4096))
    #expect(host.state == .resting)
    try host.batches.free(id)
  }

  @Test("a payload of which the socket takes a part only is sent to its end")
  func parts() throws {
    let length = 64 << 10
    let host = try StreamHost(length: length, room: 4096)
    try host.connect()
    var room: Int32 = 4096
    setsockopt(host.slot.socket, SOL_SOCKET, SO_SNDBUF, &room, socklen_t(MemoryLayout<Int32>.size))
    let before = host.slot.loans
    let id = try host.submit(.write, length)
    #expect(host.slot.loans == before + 1)
    // The caller is back, and nobody has read a byte.
    #expect(try host.wait(id, milliseconds: 20).state == .waiting)
    #expect(try host.take(.write, length))
    host.answer()
    #expect(try host.watch(id).state == .completed)
    try host.batches.free(id)
  }

  @Test("a caller that stops waiting leaves the answer to others", arguments: [TransferOpcode.write, .read])
  func givesUp(opcode: TransferOpcode) throws {
    let host = try StreamHost(length: 8192)
    try host.connect()
    let id = try host.submit(opcode, 8192)
    for _ in 0..<5 { #expect(try host.wait(id, milliseconds: 3).state == .waiting) }
    #expect(try host.take(opcode == .write ? .write : .read, 8192))
    host.answer(opcode == .write ? [] : [UInt8](repeating: 7, count: 5000))
    if opcode == .read {
      // In the middle of the payload.
      for _ in 0..<5 { #expect(try host.wait(id, milliseconds: 3).state == .waiting) }
      let rest = [UInt8](repeating: 7, count: 3192)
      send(host.connection, rest, rest.count, Int32(MSG_NOSIGNAL))
    }
    #expect(try host.watch(id).state == .completed)
    if opcode == .read { #expect(UnsafeRawBufferPointer(start: host.memory, count: 8192).allSatisfy { $0 == 7 }) }
    try host.batches.free(id)
  }

  @Test("an answer that nobody waits for is taken all the same")
  func nobody() throws {
    let host = try StreamHost(length: 4096)
    try host.connect()
    for _ in 0..<20 {
      let id = try host.submit(.write, 4096)
      #expect(try host.take(.write, 4096))
      host.answer()
      #expect(try host.watch(id).state == .completed)
      try host.batches.free(id)
    }
  }

  @Test("who has asked to be called is called")
  func handler() throws {
    let pair = try Pair(length: 1 << 20)
    try pair.exchange(block: 4096, count: 1)
    for _ in 0..<100 {
      let batch = try pair.submit(.write, block: 4096, count: 1)
      let called = DispatchSemaphore(value: 0)
      try pair.engine.whenDone(batch) { called.signal() }
      #expect(called.wait(timeout: .now() + 20) == .success)
      #expect(try pair.engine.status(of: batch).state == .completed)
      try pair.engine.freeBatch(batch)
    }
  }

  @Test("looking at the status moves it on")
  func polled() throws {
    let host = try StreamHost(length: 4096)
    try host.connect()
    let id = try host.submit(.write, 4096)
    #expect(try host.take(.write, 4096))
    host.answer()
    try host.batches.with(id) { batch in
      let end = Clock.now + 20_000_000_000
      while !batch.status.isFinal, Clock.now < end { Progress(rails: []).look(at: batch) }
      #expect(batch.status.state == .completed)
    }
    try host.batches.free(id)
  }

  @Test("several wait for one batch: one receives, the others learn of it, also when that one leaves")
  func together() throws {
    let host = try StreamHost(length: 4096)
    try host.connect()
    for _ in 0..<10 {
      let id = try host.submit(.write, 4096)
      try onThreads(7) { (thread: Int) throws in
        switch thread {
        case 0:
          usleep(10_000)
          #expect(try host.take(.write, 4096))
          host.answer()
        case 1...3: _ = try host.wait(id, milliseconds: 5)
        default: #expect(try host.wait(id, milliseconds: 20_000).state == .completed)
        }
      }
      try host.batches.free(id)
    }
  }

  @Test("many threads share lanes that are fewer than they are", arguments: ["1", "4"])
  func crowd(lanes: String) throws {
    let pair = try Pair(length: 16 << 20, environment: ["MC_TCP_LANES_PER_PEER": lanes])
    try pair.exchange(block: 4096, count: 16)
    let (part, threads) = (256 << 10, 16)
    pair.fill(21, threads * part)
    let (engine, segment, address) = (pair.engine, pair.segment, pair.peer.address)
    let local = UInt(bitPattern: pair.buffer.baseAddress)
    try onThreads(threads) { (thread: Int) throws in
      for round in 0..<64 {
        // Most are small enough to be sent by their threads, and some are not.
        let length = round % 8 == 7 ? part : 4096
        let offset = UInt(thread * part + (length == part ? 0 : round * 4096))
        let batch = try engine.allocateBatch(capacity: 1)
        let request = TransferRequest(
          .write, local: try #require(UnsafeMutableRawPointer(bitPattern: local + offset)), target: segment,
          remote: address + UInt64(offset), length: length)
        try engine.submit([request], to: batch)
        #expect(try engine.wait(for: batch, timeout: .seconds(60)).state == .completed)
        try engine.freeBatch(batch)
      }
    }
    #expect(try pair.peer.ask("check 21 0 \(threads * part)") == "ok")
  }

  @Test("an engine that shuts down lets go of a caller that waits for an answer")
  func shutDown() throws {
    let pair = try Pair(length: 1 << 20)
    try pair.exchange(block: 4096, count: 1)
    pair.peer.suspend()
    defer { pair.peer.resume() }
    let batch = try pair.submit(.write, block: 4096, count: 1)
    let engine = pair.engine
    try onThreads(2) { (thread: Int) throws in
      if thread == 0 {
        usleep(20_000)
        engine.shutdown()
      } else {
        #expect(try engine.wait(for: batch, timeout: .seconds(60)).state == .failed)
      }
    }
  }
}
