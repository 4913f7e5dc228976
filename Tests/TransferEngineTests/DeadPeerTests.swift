import TestSupport
import Testing
import TransferEngine

extension EngineTests {
  /// A peer that dies or stops hurts its own transfers and nobody else's.
  @Suite(.timeLimit(.minutes(3)))
  struct DeadPeerTests {
    /// The sockets provider works on 128 operations at a time, whomever they are for.
    private static let environment = ["MC_TRANSFER_TIMEOUT": "5", "MC_MAX_WR": "100"]
    private static let block = 64 << 10
    private static let count = 256

    /// Writes of 16 MiB in all.
    private func writes(_ near: Near, _ segment: SegmentID, _ peer: PeerProcess) -> [TransferRequest] {
      (0..<Self.count).reversed().map {
        near.request(.write, $0 * Self.block, segment, peer.address + UInt64($0 * Self.block), Self.block)
      }
    }

    /// Connects for good: some providers do so with the first transfer only.
    private func meet(_ near: Near, _ segment: SegmentID, _ peer: PeerProcess) throws {
      let requests = near.engine.nics.map { _ in near.request(.write, 0, segment, peer.address, 8) }
      #expect(try near.transfer(requests).state == .completed)
    }

    /// Not over shm, where what was sent to a dead process keeps the endpoint from all others.
    @Test(arguments: TestFabric.sturdy.filter { $0.provider != "shm" })
    func killedPeerFailsItsOwnBatchOnly(_ fabric: TestFabric) throws {
      let near = try Near(fabric, bufferLength: Self.block * Self.count, environment: Self.environment)
      let (victim, witness) = (
        try PeerProcess(provider: fabric.provider), try PeerProcess(provider: fabric.provider)
      )
      let (doomed, fine) = (try near.engine.openSegment(victim.name), try near.engine.openSegment(witness.name))
      try meet(near, doomed, victim)
      try meet(near, fine, witness)
      near.fill(seed: 500, length: near.length)

      // It stops first: so the batch is certainly under way when it dies.
      victim.suspend()
      let batch = try near.start(writes(near, doomed, victim))
      victim.kill()
      #expect(try near.transfer(writes(near, fine, witness)).state == .completed)
      #expect(try witness.mismatch(seed: 500, length: near.length) == nil)

      let status = try near.engine.wait(for: batch, timeout: .seconds(30))
      #expect(status.state == .failed || status.state == .timedOut, "\(status)")
      #expect(try freed(batch, near), "the provider never gave the requests back")

      // The engine forgets nothing of the others, and a new peer can be met.
      let successor = try PeerProcess(provider: fabric.provider)
      let next = try near.engine.openSegment(successor.name)
      #expect(try near.transfer(writes(near, next, successor)).state == .completed)
      #expect(try successor.mismatch(seed: 500, length: near.length) == nil)
      #expect(try near.transfer(writes(near, fine, witness)).state == .completed)
      // What is dead stays an error, and one at once.
      #expect(throws: TransferError.self) { _ = try near.start(writes(near, doomed, victim)) }
    }

    /// Not over shm, which reads the memory of a stopped process without it.
    @Test(arguments: TestFabric.sturdy.filter { $0.provider != "shm" })
    func stoppedPeerIsGivenUpAtTheDeadline(_ fabric: TestFabric) throws {
      let near = try Near(fabric, bufferLength: Self.block * Self.count, environment: Self.environment)
      let (sleeper, witness) = (
        try PeerProcess(provider: fabric.provider), try PeerProcess(provider: fabric.provider)
      )
      let (stopped, fine) = (try near.engine.openSegment(sleeper.name), try near.engine.openSegment(witness.name))
      try meet(near, stopped, sleeper)
      try meet(near, fine, witness)
      near.fill(seed: 510, length: near.length)
      sleeper.suspend()
      defer { sleeper.resume() }
      // Reads, which nobody but the peer can answer.
      let reads = (0..<Self.count).reversed().map {
        near.request(.read, $0 * Self.block, stopped, sleeper.address + UInt64($0 * Self.block), Self.block)
      }
      let batch = try near.start(reads)
      #expect(code { try near.engine.freeBatch(batch) } == .busy)
      #expect(try near.engine.wait(for: batch, timeout: .milliseconds(1)).state == .waiting)
      // The others go on meanwhile.
      let others = Array(writes(near, fine, witness).prefix(32))
      #expect(try near.transfer(others).state == .completed)

      let status = try near.engine.wait(for: batch, timeout: .seconds(30))
      #expect(status.state == .timedOut)
      #expect(status.transferredBytes < UInt64(near.length))
      // A timed-out read may still be written to by the NIC: until then its batch and its memory are kept.
      #expect(code { try near.engine.freeBatch(batch) } == .busy)
      #expect(try near.transfer(others).state == .completed)

      sleeper.resume()
      #expect(try freed(batch, near), "the requests did not come back although the peer did")
      #expect(code { _ = try near.engine.status(of: batch) } == .invalidArgument)
      // The peer can be used again. What was read late has overwritten the pattern.
      near.fill(seed: 510, length: near.length)
      let write = writes(near, stopped, sleeper)
      #expect(try near.transfer(write).state == .completed)
      #expect(try sleeper.mismatch(seed: 510, length: near.length) == nil)
    }

    /// Over shm, too, a batch ends when its peer has died.
    @Test(arguments: TestFabric.sturdy)
    func everyBatchEnds(_ fabric: TestFabric) throws {
      let near = try Near(fabric, bufferLength: Self.block * Self.count, environment: Self.environment)
      let victim = try PeerProcess(provider: fabric.provider)
      let doomed = try near.engine.openSegment(victim.name)
      try meet(near, doomed, victim)
      victim.suspend()
      let batch = try near.start(writes(near, doomed, victim))
      victim.kill()
      let status = try near.engine.wait(for: batch, timeout: .seconds(30))
      #expect(status.state == .failed || status.state == .timedOut, "\(status)")
      near.engine.shutdown()
      // Nothing is with a NIC any more.
      try near.engine.freeBatch(batch)
    }

    /// Frees the batch as soon as the provider has given back all of it. Only a busy batch is waited for.
    private func freed(_ batch: BatchID, _ near: Near) throws -> Bool {
      try eventually {
        do {
          try near.engine.freeBatch(batch)
          return true
        } catch let error as TransferError where error.code == .busy {
          return false
        }
      }
    }

    /// Not one of a stopped peer's requests keeps another peer's from getting through, with few credits or many.
    @Test(arguments: TestFabric.sturdy.filter { $0.provider != "shm" }, [2, 16])
    func stoppedPeerLeavesCreditsToOthers(_ fabric: TestFabric, credits: Int) throws {
      let near = try Near(
        fabric, bufferLength: Self.block * Self.count,
        environment: Self.environment.merging(["MC_MAX_WR": "\(credits)"]) { $1 })
      let (sleeper, witness) = (
        try PeerProcess(provider: fabric.provider), try PeerProcess(provider: fabric.provider)
      )
      let (stopped, fine) = (try near.engine.openSegment(sleeper.name), try near.engine.openSegment(witness.name))
      try meet(near, stopped, sleeper)
      try meet(near, fine, witness)
      near.fill(seed: 520, length: near.length)
      sleeper.suspend()
      let batch = try near.start(
        (0..<Self.count).reversed().map {
          near.request(.read, $0 * Self.block, stopped, sleeper.address + UInt64($0 * Self.block), Self.block)
        })
      // Were there no credit left, these would wait for the stopped peer's deadline, five seconds, and beyond: the
      // batch would still be waiting then.
      let others = try near.start(Array(writes(near, fine, witness).prefix(32)))
      #expect(try near.engine.wait(for: others, timeout: .seconds(30)).state == .completed)
      #expect(try near.engine.status(of: batch).state != .completed)
      try near.engine.freeBatch(others)
      sleeper.resume()
      _ = try near.engine.wait(for: batch, timeout: .seconds(30))
      #expect(try freed(batch, near))
    }
  }
}
