import TestSupport
import Testing
import TransferEngine

extension EngineTests {
  /// An engine ends in order and soon, whatever is under way.
  @Suite(.timeLimit(.minutes(1)))
  struct ShutdownTests {
    @Test(arguments: TestFabric.sturdy)
    func callsAfterwardsAreRefused(_ fabric: TestFabric) throws {
      let near = try Near(fabric, bufferLength: 4096)
      let peer = try PeerProcess(provider: fabric.provider, bufferLength: 4096)
      let segment = try near.engine.openSegment(peer.name)
      let batch = try near.engine.allocateBatch(capacity: 2)
      let request = near.request(.write, 0, segment, peer.address, 8)
      try near.engine.submit([request], to: batch)
      #expect(try near.engine.wait(for: batch, timeout: .seconds(60)).state == .completed)
      near.engine.shutdown()
      near.engine.shutdown()
      #expect(code { try near.engine.submit([request], to: batch) } == .shutDown)
      #expect(code { _ = try near.engine.allocateBatch(capacity: 1) } == .shutDown)
      #expect(code { _ = try near.engine.openSegment(peer.name) } == .shutDown)
      #expect(code { try near.engine.closeSegment(segment) } == .shutDown)
      #expect(code { _ = try near.engine.describe(segment) } == .shutDown)
      #expect(code { try near.engine.warmup(segment: peer.name) } == .shutDown)
      #expect(code { try near.engine.register(near.base, length: 4096) } == .shutDown)
      #expect(code { try near.engine.unregister(near.base) } == .shutDown)
      #expect(code { try near.engine.probe(peer.name) } == .shutDown)
      #expect(code { try near.engine.notify(peer.name, NotificationMessage(name: "a", message: "b")) } == .shutDown)
      // What was done stays known.
      #expect(try near.engine.status(of: batch) == TransferStatus(.completed, transferredBytes: 8))
      try near.engine.freeBatch(batch)
      // And nobody answers under the name any more.
      #expect(try peer.ask("probe \(near.engine.name)").hasPrefix("error"))
    }

    @Test(arguments: TestFabric.sturdy)
    func whatIsUnderWayIsSettled(_ fabric: TestFabric) throws {
      let (count, block) = (64, 64 << 10)
      let near = try Near(fabric, bufferLength: count * block)
      let peer = try PeerProcess(provider: fabric.provider, bufferLength: count * block)
      let segment = try near.engine.openSegment(peer.name)
      try near.engine.warmup(segment: peer.name)
      peer.suspend()
      defer { peer.resume() }
      let batch = try near.start(
        (0..<count).map { near.request(.read, $0 * block, segment, peer.address + UInt64($0 * block), block) })
      let start = ContinuousClock.now
      // Two that wait, one of whom knows before and one who comes late; one that is told; and one that ends it all.
      let told = Counter()
      try near.engine.whenDone(batch) { told.increment() }
      try onThreads(3) { index in
        if index == 0 {
          near.engine.shutdown()
        } else {
          let status = try near.engine.wait(for: batch, timeout: .seconds(50))
          #expect(status.state == .failed)
        }
      }
      #expect(ContinuousClock.now - start < .seconds(20))
      #expect(told.value == 1)
      try near.engine.freeBatch(batch)
    }

    /// Threads that submit while the engine shuts down get a result or an error, and none waits for ever.
    @Test(arguments: TestFabric.sturdy)
    func submissionsMeetTheEnd(_ fabric: TestFabric) throws {
      let peer = try PeerProcess(provider: fabric.provider, bufferLength: 1 << 20)
      for _ in 0..<3 {
        let near = try Near(fabric, bufferLength: 1 << 20)
        let segment = try near.engine.openSegment(peer.name)
        try near.engine.warmup(segment: peer.name)
        let address = peer.address
        let rounds = Counter()
        try onThreads(4) { index in
          if index == 0 {
            #expect(eventually { rounds.value > 30 })
            near.engine.shutdown()
            return
          }
          while true {
            do {
              let batch = try near.engine.allocateBatch(capacity: 4)
              try near.engine.submit(
                (0..<4).map { near.request(.write, index * 65536 + $0 * 4096, segment, address, 4096) }, to: batch)
              let status = try near.engine.wait(for: batch, timeout: .seconds(20))
              #expect(status.isFinal)
              rounds.increment()
            } catch let error as TransferError where error.code == .shutDown {
              return
            } catch let error as TransferError {
              // In between, the NICs or the registrations may be gone already; but only then.
              #expect(rounds.value > 30, "\(error)")
            }
          }
        }
      }
    }
  }
}
