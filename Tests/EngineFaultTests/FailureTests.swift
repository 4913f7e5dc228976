import SimulatedFabric
import Synchronization
import Testing

@testable import TransferEngine

/// Two hosts with one buffer each, connected.
struct TwoHosts {
  let source: Bytes
  let target: Bytes
  let segment: SegmentID
  let engine: TransferEngine
  let count: Int

  init(_ net: Net, count: Int = 4096, seed: UInt8 = 5) throws {
    self.count = count
    source = try Bytes(count, seed: seed)
    target = try Bytes(count)
    engine = net[0]
    try engine.register(source)
    try net[1].register(target)
    segment = try engine.openSegment(net[1].name)
    try engine.warmup(segment: net[1].name)
  }

  func requests(_ opcode: TransferOpcode = .write, of size: Int = 64) -> [TransferRequest] {
    pieces(count, of: size).map { TransferRequest(opcode, source, segment, target, $0) }
  }

  /// Submits `requests` without waiting.
  func submit(_ requests: [TransferRequest]) throws -> BatchID {
    let batch = try engine.allocateBatch(capacity: requests.count)
    try engine.submit(requests, to: batch)
    return batch
  }

  func states(_ batch: BatchID, _ count: Int) throws -> [TransferStatus] {
    try (0..<count).map { try engine.status(of: batch, task: $0) }
  }
}

@Suite struct FailureTests {
  @Test func aFailedOperationFailsItsTaskAndNoOther() throws {
    try Net.run { net in
      let hosts = try TwoHosts(net)
      net.fabric.updateFaults { $0.fail(next: 1) }
      let batch = try hosts.submit(hosts.requests())
      let status = try hosts.engine.wait(for: batch, timeout: .seconds(20))
      #expect(status == TransferStatus(.failed, transferredBytes: UInt64(hosts.count - 64)))
      let tasks = try hosts.states(batch, 64)
      #expect(tasks.count { $0 == TransferStatus(.failed, transferredBytes: 0) } == 1)
      #expect(tasks.count { $0 == TransferStatus(.completed, transferredBytes: 64) } == 63)
      for (index, piece) in pieces(hosts.count, of: 64).enumerated() where tasks[index].state == .completed {
        #expect(hosts.target.mismatches(5, piece) == 0)
      }
      try hosts.engine.freeBatch(batch)
      // The next submission connects anew, and the one after that needs nothing.
      #expect(try hosts.engine.transfer(hosts.requests()).state == .completed)
      #expect(hosts.target.mismatches(5) == 0)
      #expect(try hosts.engine.transfer(hosts.requests(.read)).state == .completed)
    }
  }

  @Test func aBatchIsNotFailedBeforeEverythingHasSettled() throws {
    try Net.run { net in
      let hosts = try TwoHosts(net)
      net.fabric.updateFaults { faults in
        faults.fail(next: 1)
        faults.hold(next: 10)
      }
      let batch = try hosts.submit(hosts.requests())
      #expect(
        try eventually {
          try hosts.states(batch, 64).count { $0.isFinal } == 54
        })
      #expect(try hosts.states(batch, 64).count { $0.state == .failed } == 1)
      #expect(try hosts.engine.status(of: batch).state == .waiting)
      #expect(code { try hosts.engine.freeBatch(batch) } == .busy)
      net.fabric.updateFaults { $0.release() }
      #expect(
        try hosts.engine.wait(for: batch, timeout: .seconds(20))
          == TransferStatus(.failed, transferredBytes: UInt64(hosts.count - 64)))
      try hosts.engine.freeBatch(batch)
    }
  }

  @Test func aRequestOfWhichAPartFailsHasFailed() throws {
    var options = FabricOptions()
    options.maximumRegistrationSize = 8192
    try Net.run(options, ["MC_MAX_MR_SIZE": "8192"]) { net in
      let hosts = try TwoHosts(net, count: 65_536)
      net.fabric.updateFaults { $0.fail(next: 1) }
      let batch = try hosts.submit(hosts.requests(of: 65_536))
      #expect(
        try hosts.engine.wait(for: batch, timeout: .seconds(20))
          == TransferStatus(.failed, transferredBytes: 65_536 - 8192))
      try hosts.engine.freeBatch(batch)
      #expect(
        try hosts.engine.transfer(hosts.requests(of: 65_536)) == TransferStatus(.completed, transferredBytes: 65_536))
      #expect(hosts.target.mismatches(5) == 0)
    }
  }

  /// Operations under way when the link is replaced still end on it; its address is taken out after the last of them.
  @Test func aLinkIsReplacedWhileOthersUseIt() throws {
    try Net.run { net in
      let hosts = try TwoHosts(net)
      net.fabric.updateFaults { $0.hold(next: 20) }
      let held = try hosts.submit(hosts.requests())
      #expect(try eventually { try hosts.states(held, 64).count { $0.isFinal } == 44 })
      for _ in 0..<3 {
        net.fabric.updateFaults { $0.fail(next: 2) }
        #expect(try hosts.engine.transfer(hosts.requests()).state == .failed)
        #expect(try hosts.engine.transfer(hosts.requests()).state == .completed)
      }
      net.fabric.updateFaults { $0.release() }
      #expect(try hosts.engine.wait(for: held, timeout: .seconds(20)).state == .completed)
      try hosts.engine.freeBatch(held)
      for _ in 0..<3 { #expect(try hosts.engine.transfer(hosts.requests()).state == .completed) }
      #expect(hosts.target.mismatches(5) == 0)
    }
  }

  @Test func aPeerThatRegistersAnewIsLookedUpAgain() throws {
    try Net.run { net in
      let hosts = try TwoHosts(net)
      #expect(try hosts.engine.transfer(hosts.requests()).state == .completed)
      try net[1].unregister(hosts.target.start)
      try net[1].register(hosts.target)
      // The old keys are gone: the fabric refuses them, and the submission after that knows the new ones.
      #expect(try hosts.engine.transfer(hosts.requests()).state == .failed)
      #expect(try hosts.engine.transfer(hosts.requests()).state == .completed)
      #expect(hosts.target.mismatches(5) == 0)
      // What is registered later is found without a failure.
      let late = try Bytes(4096)
      try net[1].register(late)
      let request = TransferRequest(.write, hosts.source, hosts.segment, late, 0..<4096)
      #expect(try hosts.engine.transfer([request]).state == .completed)
      #expect(late.mismatches(5) == 0)
    }
  }

  @Test func theDeathOfANICLeavesTheOthersAlone() throws {
    var options = FabricOptions()
    options.nicCount = 4
    try Net.run(options) { net in
      let hosts = try TwoHosts(net)
      net.fabric.updateFaults { $0.kill(.endpoint(2)) }
      let batch = try hosts.submit(hosts.requests())
      let status = try hosts.engine.wait(for: batch, timeout: .seconds(20))
      #expect(status == TransferStatus(.failed, transferredBytes: UInt64(hosts.count * 3 / 4)))
      let tasks = try hosts.states(batch, 64)
      #expect(tasks.count { $0.state == .failed } == 16)
      try hosts.engine.freeBatch(batch)
      net.fabric.updateFaults { $0.revive(.endpoint(2)) }
      #expect(try hosts.engine.transfer(hosts.requests()).state == .completed)
      #expect(hosts.target.mismatches(5) == 0)
    }
  }

  @Test func shuttingDownWithHeldOperationsSettlesThemAndClosesInOrder() throws {
    try Net.run { net in
      let hosts = try TwoHosts(net)
      net.fabric.updateFaults { faults in faults.hold() }
      let engine = hosts.engine
      let batches = try (0..<4).map { _ in try hosts.submit(hosts.requests()) }
      let started = Box(Atomic(0))
      let waiters = try batches.map { batch in
        JoinableThread(
          try Thread(name: "waiter") {
            started.value.add(1, ordering: .relaxed)
            let status = try? engine.wait(for: batch, timeout: .seconds(60))
            #expect(status == TransferStatus(.failed, transferredBytes: 0))
          })
      }
      #expect(eventually { started.value.load(ordering: .relaxed) == 4 })
      engine.shutdown()
      for waiter in waiters { waiter.join() }
      for batch in batches { try engine.freeBatch(batch) }
      engine.shutdown()
      #expect(code { _ = try engine.allocateBatch(capacity: 1) } == .shutDown)
      #expect(code { try engine.register(hosts.target) } == .shutDown)
      #expect(code { _ = try engine.openSegment("127.0.0.1:1") } == .shutDown)
      #expect(engine.nics.count == 2)
    }
  }

  /// A link that was replaced has held operations: its address must not be taken out before the endpoint is closed.
  @Test func shuttingDownWithReplacedLinksClosesInOrder() throws {
    try Net.run { net in
      let hosts = try TwoHosts(net)
      net.fabric.updateFaults { $0.hold(next: 6) }
      let held = try hosts.submit(Array(hosts.requests().prefix(6)))
      net.fabric.updateFaults { $0.fail(next: 2) }
      #expect(try hosts.engine.transfer(hosts.requests()).state == .failed)
      #expect(try hosts.engine.transfer(hosts.requests()).state == .completed)
      hosts.engine.shutdown()
      #expect(try hosts.engine.status(of: held).state == .failed)
    }
  }

  /// Threads in the middle of a submission while the engine is shut down: what they submit is settled too.
  @Test(arguments: 0..<20)
  func submittingDuringShutdownSettlesToo(round: Int) throws {
    try Net.run { net in
      let hosts = try TwoHosts(net)
      let engine = hosts.engine
      let progress = Box(Atomic(0))
      let threads = try (0..<4).map { _ in
        JoinableThread(
          try Thread(name: "submitter") {
            while let batch = try? engine.allocateBatch(capacity: 64) {
              guard (try? engine.submit(hosts.requests(), to: batch)) != nil else { return }
              progress.value.add(1, ordering: .relaxed)
              let status = try? engine.wait(for: batch, timeout: .seconds(20))
              #expect(status?.isFinal == true)
            }
          })
      }
      #expect(eventually { progress.value.load(ordering: .relaxed) > round })
      engine.shutdown()
      for thread in threads { thread.join() }
    }
  }

  /// Whoever is back from it may free memory, also where another thread shuts the engine down.
  @Test(arguments: 0..<10)
  func everybodyWhoShutsDownWaitsForTheEnd(round: Int) throws {
    try Net.run { net in
      let hosts = try TwoHosts(net)
      let (fabric, engine) = (net.fabric, hosts.engine)
      net[1].shutdown()
      try onThreads(4) { _ in
        engine.shutdown()
        let open = fabric.counters().openObjects
        #expect(open["endpoint", default: 0] == 0)
        #expect(open["memory region", default: 0] == 0)
      }
    }
  }

  @Test func shuttingDownOnTheWayDoesNotWaitForItself() throws {
    let ending = Ending()
    let isBack = Box(Atomic(false))
    let watcher = JoinableThread(
      try Thread(name: "watcher") {
        #expect(eventually { isBack.value.load(ordering: .acquiring) })
        ending.finish()
      })
    ending.begin()
    ending.wait(nanoseconds: .max / 2)
    isBack.value.store(true, ordering: .releasing)
    watcher.join()
    // What is over is not waited for.
    ending.wait(nanoseconds: .max / 2)
  }
}

extension Net {
  static func run(
    _ environment: [String: String], sourceLocation: SourceLocation = #_sourceLocation, _ body: (Net) throws -> Void
  ) throws {
    try run(FabricOptions(), hosts: 2, environment, sourceLocation: sourceLocation, body)
  }
}
