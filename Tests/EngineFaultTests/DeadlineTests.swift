import SimulatedFabric
import Synchronization
import Testing

@testable import TransferEngine

/// What takes the least deadline that can be set, five seconds, to find out: side by side.
@Suite struct DeadlineTests {
  private let environment = ["MC_TRANSFER_TIMEOUT": "5"]

  @Test func everyOperationHasADeadline() throws {
    let scenarios = [
      refusalsForEverEndAtTheDeadline, aBlackHoleEndsAtTheDeadlineAndKeepsWhatItHolds,
      whatABlackHoleHoldsIsGivenBackByShuttingDown, lostCompletionsEndAtTheDeadlineAndTheEngineLives,
      nobodyHasToWaitForADeadline,
    ]
    try onThreads(scenarios.count) { try scenarios[$0]() }
  }

  @Sendable private func refusalsForEverEndAtTheDeadline() throws {
    try Net.run(environment) { net in
      let hosts = try TwoHosts(net)
      net.fabric.updateFaults { faults in faults.refuse() }
      let batch = try hosts.submit(hosts.requests())
      #expect(try hosts.engine.wait(for: batch, timeout: .zero).state == .waiting)
      #expect(
        try hosts.engine.wait(for: batch, timeout: .seconds(30)) == TransferStatus(.timedOut, transferredBytes: 0))
      #expect(try hosts.states(batch, 64).allSatisfy { $0.state == .timedOut })
      try hosts.engine.freeBatch(batch)
      net.fabric.updateFaults { $0.rules = [] }
      #expect(try hosts.engine.transfer(hosts.requests()).state == .completed)
      #expect(hosts.target.mismatches(5) == 0)
    }
  }

  @Sendable private func aBlackHoleEndsAtTheDeadlineAndKeepsWhatItHolds() throws {
    try Net.run(environment) { net in
      let hosts = try TwoHosts(net)
      net.fabric.updateFaults { $0.hold(next: 8) }
      let batch = try hosts.submit(hosts.requests(.read))
      let status = try hosts.engine.wait(for: batch, timeout: .seconds(30))
      #expect(status == TransferStatus(.timedOut, transferredBytes: UInt64(hosts.count - 8 * 64)))
      #expect(try hosts.states(batch, 64).count { $0.state == .timedOut } == 8)
      // The fabric may still write into the memory.
      #expect(code { try hosts.engine.freeBatch(batch) } == .busy)
      // Others work, over new links.
      #expect(try hosts.engine.transfer(hosts.requests()).state == .completed)
      net.fabric.updateFaults { $0.release() }
      #expect(
        eventually {
          (try? hosts.engine.transfer(hosts.requests()).state) == .completed
            && (try? hosts.engine.freeBatch(batch)) != nil
        })
      try hosts.engine.unregister(hosts.source.start)
    }
  }

  @Sendable private func whatABlackHoleHoldsIsGivenBackByShuttingDown() throws {
    try Net.run(environment) { net in
      let hosts = try TwoHosts(net)
      net.fabric.updateFaults { faults in faults.hold() }
      let batch = try hosts.submit(hosts.requests())
      #expect(try hosts.engine.wait(for: batch, timeout: .seconds(30)).state == .timedOut)
      #expect(code { try hosts.engine.freeBatch(batch) } == .busy)
      hosts.engine.shutdown()
      #expect(try hosts.engine.status(of: batch).state == .timedOut)
      try hosts.engine.freeBatch(batch)
    }
  }

  @Sendable private func lostCompletionsEndAtTheDeadlineAndTheEngineLives() throws {
    try Net.run(environment) { net in
      let hosts = try TwoHosts(net)
      net.fabric.updateFaults { $0.lose(next: 3) }
      let batch = try hosts.submit(hosts.requests())
      let status = try hosts.engine.wait(for: batch, timeout: .seconds(30))
      #expect(status == TransferStatus(.timedOut, transferredBytes: UInt64(hosts.count - 3 * 64)))
      #expect(hosts.target.mismatches(5) == 0)
      for _ in 0..<3 { #expect(try hosts.engine.transfer(hosts.requests()).state == .completed) }
    }
  }

  /// Nobody waits or looks: the progress thread keeps the deadlines.
  @Sendable private func nobodyHasToWaitForADeadline() throws {
    try Net.run(environment) { net in
      let hosts = try TwoHosts(net)
      net.fabric.updateFaults { faults in faults.refuse() }
      let batch = try hosts.submit(hosts.requests())
      let isDone = Box(Atomic(false))
      try hosts.engine.whenDone(batch) { isDone.value.store(true, ordering: .relaxed) }
      #expect(eventually { isDone.value.load(ordering: .relaxed) })
      #expect(try hosts.engine.status(of: batch).state == .timedOut)
    }
  }
}
