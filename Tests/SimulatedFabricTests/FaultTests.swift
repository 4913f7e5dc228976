import CFabric
import SimulatedFabric
import Testing

@Suite struct FaultTests {
  @Test func theNextPostsAreRefused() throws {
    let network = SimulatedFabric()
    let host = try Host(network.functions)
    let place = host.insert(host.address)
    network.updateFaults { $0.refuse(.nic(0), next: 2) }
    #expect((0..<3).map { _ in host.write(to: host, at: place) } == [Int(-FI_EAGAIN), Int(-FI_EAGAIN), 0])
    #expect(network.counters().nics[0].refusals == 2)
    #expect(network.counters().violations == [])
  }

  @Test func aBlackHoleKeepsItsOperationsUntilTheyAreReleased() throws {
    let network = SimulatedFabric()
    let (a, b) = (try Host(network.functions), try Host(network.functions))
    let place = a.insert(b.address)
    a.memory[0] = 1
    #expect(a.write(to: b, at: place, context: contextOf(1)) == 0)
    network.faults.hold(.destination(1))
    for _ in 0..<10 { #expect(a.poll().result == Int(-FI_EAGAIN)) }
    #expect(b.memory[0] == 0)
    #expect(network.counters().endpoints[0].inFlight == 1)
    network.updateFaults { $0.release() }
    #expect(a.poll().contexts == [1])
    #expect(b.memory[0] == 1)

    network.updateFaults { $0.hold(next: 1) }
    #expect(a.write(to: b, at: place, context: contextOf(2)) == 0)
    #expect(a.write(to: b, at: place, context: contextOf(3)) == 0)
    #expect(a.poll().contexts == [3])
    network.faults = Faults()
    #expect(a.poll().contexts == [2])
    #expect(network.counters().violations == [])
  }

  @Test func aDeadNICFailsWhatIsInFlightAndWhatFollows() throws {
    let network = SimulatedFabric()
    let host = try Host(network.functions)
    let place = host.insert(host.address)
    network.updateFaults { $0.hold(.nic(0)) }
    #expect(host.write(to: host, at: place) == 0)
    #expect(host.poll().result == Int(-FI_EAGAIN))
    network.updateFaults { $0.kill(.nic(0)) }
    #expect(host.write(to: host, at: place) == 0)
    for _ in 0..<2 {
      #expect(host.poll().result == Int(-FI_EAVAIL))
      #expect(host.readError().entry.prov_errno == 13)
    }
    network.updateFaults {
      $0.revive(.nic(0))
      $0.release()
    }
    #expect(host.write(to: host, at: place) == 0)
    #expect(host.poll().result == 1)
  }

  @Test func aLostCompletionMovesTheBytesAndFreesTheSlot() throws {
    let network = SimulatedFabric()
    let (a, b) = (try Host(network.functions), try Host(network.functions))
    a.memory[0] = 1
    network.updateFaults { $0.lose(next: 1) }
    #expect(a.write(to: b, at: a.insert(b.address)) == 0)
    #expect(a.poll().result == Int(-FI_EAGAIN))
    #expect(b.memory[0] == 1)
    #expect(network.counters().nics[0].lost == 1)
    #expect(network.counters().endpoints[0].inFlight == 0)
  }

  @Test func orderAndDelayFollowFromTheSeed() throws {
    func order(_ seed: UInt64) throws -> [[UInt]] {
      var options = SimulatedFabric.Options()
      options.seed = seed
      let network = SimulatedFabric(options)
      network.faults.reorder = true
      network.faults.completionDelay = 0...3
      let host = try Host(network.functions)
      let place = host.insert(host.address)
      for number in 1...32 { #expect(host.write(to: host, at: place, context: contextOf(UInt(number))) == 0) }
      return (0..<4).map { _ in host.poll(32).contexts }
    }
    let first = try order(1)
    #expect(first == (try order(1)))
    #expect(first != (try order(2)))
    #expect(first.flatMap { $0 }.sorted() == Array(1...32))
    #expect(first.flatMap { $0 } != Array(1...32))
  }

  @Test func registrationsAreRefused() throws {
    let network = SimulatedFabric()
    network.faults.refusedRegistrations = 1
    #expect(throws: CallFailed.self) { try Host(network.functions) }
    #expect(throws: Never.self) { try Host(network.functions) }
  }
}
