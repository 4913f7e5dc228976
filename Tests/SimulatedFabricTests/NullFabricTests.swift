import CFabric
import SimulatedFabric
import Testing

@Suite struct NullFabricTests {
  @Test func whatIsPostedIsHandedBackInOrder() throws {
    let network = NullFabric()
    let host = try Host(network.functions, nic: 1)
    let place = host.insert(host.address)
    #expect(host.poll().result == Int(-FI_EAGAIN))
    // More than once around the ring.
    for round in 0..<(UInt(NullFabric.capacity) / 32 * 2 + 1) {
      let numbers = (0..<40).map { round * 40 + $0 + 1 }
      for number in numbers { #expect(host.write(to: host, at: place, context: contextOf(number)) == 0) }
      #expect(host.poll(32).contexts == Array(numbers[..<32]))
      #expect(host.poll(32).contexts == Array(numbers[32...]))
    }
    #expect(host.close() == Array(repeating: 0, count: 6))
  }
}
