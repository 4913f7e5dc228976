import SimulatedFabric
import Testing

@testable import TransferEngine

/// Requests that follow one another in memory and become one operation: each of them is reported as if it had its own.
@Suite struct MergeTests {
  /// Neighbours of different lengths, which cover `hosts.count` bytes.
  private static func neighbours(_ hosts: TwoHosts, _ opcode: TransferOpcode = .write) -> [TransferRequest] {
    var (start, length) = (0, 1)
    var requests: [TransferRequest] = []
    while start < hosts.count {
      let end = min(start + length, hosts.count)
      requests.append(TransferRequest(opcode, hosts.source, hosts.segment, hosts.target, start..<end))
      (start, length) = (end, length % 97 + 1)
    }
    return requests
  }

  private static func operations(_ net: Net) -> UInt64 { net[0].nics.reduce(0) { $0 + $1.completedOperations } }

  @Test(arguments: [TransferOpcode.write, .read])
  func everyRequestReportsItsOwnBytes(_ opcode: TransferOpcode) throws {
    try Net.run { net in
      let hosts = try TwoHosts(net)
      let requests = Self.neighbours(hosts, opcode)
      let batch = try hosts.submit(requests)
      let status = try hosts.engine.wait(for: batch, timeout: .seconds(20))
      #expect(status == TransferStatus(.completed, transferredBytes: UInt64(hosts.count)))
      for (index, request) in requests.enumerated() {
        let status = try hosts.engine.status(of: batch, task: index)
        #expect(status == TransferStatus(.completed, transferredBytes: UInt64(request.length)), "request \(index)")
      }
      try hosts.engine.freeBatch(batch)
      #expect(opcode == .read || hosts.target.mismatches(5) == 0)
      #expect(Self.operations(net) == 1)
    }
  }

  /// In two calls, the second of which follows the first in memory: they are not merged with each other.
  @Test func callsAreNotMerged() throws {
    try Net.run { net in
      let hosts = try TwoHosts(net)
      let requests = Self.neighbours(hosts)
      let batch = try hosts.engine.allocateBatch(capacity: requests.count)
      try hosts.engine.submit(Array(requests.prefix(3)), to: batch)
      try hosts.engine.submit(Array(requests.dropFirst(3)), to: batch)
      let status = try hosts.engine.wait(for: batch, timeout: .seconds(20))
      #expect(status == TransferStatus(.completed, transferredBytes: UInt64(hosts.count)))
      #expect(try hosts.states(batch, requests.count).map(\.transferredBytes) == requests.map { UInt64($0.length) })
      #expect(hosts.target.mismatches(5) == 0 && Self.operations(net) == 2)
    }
  }

  @Test func aFailureIsThatOfEveryRequestInTheOperation() throws {
    try Net.run { net in
      let hosts = try TwoHosts(net)
      let requests = Self.neighbours(hosts)
      net.fabric.updateFaults { $0.fail(next: 1) }
      let batch = try hosts.submit(requests)
      #expect(try hosts.engine.wait(for: batch, timeout: .seconds(20)) == TransferStatus(.failed, transferredBytes: 0))
      let states = try hosts.states(batch, requests.count)
      #expect(states.allSatisfy { $0 == TransferStatus(.failed, transferredBytes: 0) })
      try hosts.engine.freeBatch(batch)
      #expect(try hosts.engine.transfer(requests).state == .completed)
      #expect(hosts.target.mismatches(5) == 0)
    }
  }

  /// The provider keeps the operation, which is settled by its deadline, or before that by the engine's end.
  @Test(arguments: [TransferStatus.State.timedOut, .failed])
  func whatNeverCompletesIsSettledForEveryRequest(as state: TransferStatus.State) throws {
    try Net.run(["MC_TRANSFER_TIMEOUT": "5"]) { net in
      let hosts = try TwoHosts(net)
      let requests = Self.neighbours(hosts)
      net.fabric.updateFaults { faults in faults.hold() }
      let batch = try hosts.submit(requests)
      if state == .timedOut {
        #expect(try hosts.engine.wait(for: batch, timeout: .seconds(30)).state == state)
        #expect(code { try hosts.engine.freeBatch(batch) } == .busy)
      }
      hosts.engine.shutdown()
      let states = try hosts.states(batch, requests.count)
      #expect(states.allSatisfy { $0 == TransferStatus(state, transferredBytes: 0) })
      try hosts.engine.freeBatch(batch)
    }
  }
}
