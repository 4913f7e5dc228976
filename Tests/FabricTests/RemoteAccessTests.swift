import CFabric
import Testing

@testable import Fabric

/// What a side that only serves knows of its peers, on a provider that counts it.
@Suite struct RemoteAccessTests {
  /// A NIC with some memory.
  private struct Side: ~Copyable {
    let endpoint: Endpoint
    let region: MemoryRegion
    /// What peers call the first byte.
    let address: UInt64

    init(_ library: FabricLibrary, _ memory: UnsafeMutableRawPointer) throws {
      let offers = try ProviderQuery(provider: "shm").offers(library)
      let offer = try #require(offers.first)
      let domain = try Domain(offer)
      let endpoint = try Endpoint(domain, completionQueueSize: 16, addressCount: 16)
      region = try MemoryRegion(domain, address: memory, length: 64, requestedKey: 1)
      self.endpoint = endpoint
      address = offer.usesVirtualAddresses ? UInt64(UInt(bitPattern: memory)) : 0
    }
  }

  @Test(.timeLimit(.minutes(1)))
  func readsAndWritesOfPeersAreCounted() throws {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: 128, alignment: 64)
    defer { memory.deallocate() }
    let library = try FabricLibrary.load()
    let near = try Side(library, memory)
    let far = try Side(library, memory + 64)
    let peer = try near.endpoint.peers.insert(far.endpoint.address)
    let entry = UnsafeMutablePointer<fi_cq_entry>.allocate(capacity: 1)
    defer { entry.deallocate() }
    func expectCount(_ count: UInt64) {
      #expect(near.endpoint.remoteAccesses?.read() == 0)
      #expect(far.endpoint.remoteAccesses?.read() == count)
    }
    expectCount(0)
    let deadline = ContinuousClock.now + .seconds(20)
    /// Until `body` is true, both sides at work.
    func work(until body: () -> Bool) throws {
      while !body() {
        _ = far.endpoint.completions.read(into: entry, count: 1)
        try #require(ContinuousClock.now < deadline)
      }
    }
    for count in UInt64(1)...3 {
      let call = count.isMultiple(of: 2) ? fi_read : { fi_write($0, $1, $2, $3, $4, $5, $6, $7) }
      // It takes nothing before it has met the peer.
      try work {
        call(near.endpoint.raw, memory, 64, near.region.descriptor, peer, far.address, far.region.key, nil) == 0
      }
      try work { near.endpoint.completions.read(into: entry, count: 1) == 1 }
      expectCount(count)
    }
  }
}
