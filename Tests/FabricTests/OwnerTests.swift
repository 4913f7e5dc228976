import CFabric
import SimulatedFabric
import Testing

@testable import Fabric

/// The owners on a simulated fabric, which notices what is closed too early or not at all.
@Suite struct OwnerTests {
  private func library(_ fabric: SimulatedFabric) -> FabricLibrary {
    FabricLibrary(supplied: fabric.functions, name: "simulated")
  }

  private func offers(_ fabric: SimulatedFabric) throws -> [NICOffer] {
    try ProviderQuery(provider: fabric.options.providerName).offers(library(fabric))
  }

  private func check(_ fabric: SimulatedFabric, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(fabric.counters().violations == [], sourceLocation: sourceLocation)
    #expect(fabric.counters().openObjects == [:], sourceLocation: sourceLocation)
  }

  @Test func efaDomainsAreNamedByTheirDevices() throws {
    var options = FabricOptions()
    options.providerName = "efa"
    options.nicCount = 3
    options.describesDevices = true
    let offers = try offers(SimulatedFabric(options))
    #expect(offers.map(\.domain) == ["rdmap0s0-rdm", "rdmap1s0-rdm", "rdmap2s0-rdm"])
    #expect(offers.map(\.device) == ["rdmap0s0", "rdmap1s0", "rdmap2s0"])
    #expect(Set(offers.compactMap(\.pciAddress)).count == 3)
    #expect(offers.allSatisfy { $0.linkSpeed == 100_000_000_000 && $0.usesVirtualAddresses && $0.choosesKeys })
    #expect(NICOffer.device(ofDomain: "rdmap79s0-rdm") == "rdmap79s0")
    #expect(NICOffer.device(ofDomain: "eth0") == "eth0" && NICOffer.device(ofDomain: "-rdm") == "")
  }

  @Test func theFabricOfTheSideProtocolIsNotUsed() throws {
    var options = FabricOptions()
    options.providerName = "efa"
    options.fabricName = "efa-direct"
    let error = #expect(throws: FabricError.self) { _ = try offers(SimulatedFabric(options)) }
    #expect(error?.isNoData == true)
  }

  @Test func ownersCloseInOrder() throws {
    let fabric = SimulatedFabric()
    func use() throws {
      let memory = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 8)
      defer { memory.deallocate() }
      let domain = try Domain(try #require(try offers(fabric).first))
      let endpoint = try Endpoint(domain, completionQueueSize: 16, addressCount: 16)
      let region = try MemoryRegion(domain, address: memory, length: 64, requestedKey: 5)
      #expect(region.key != 5 && endpoint.completions.size == 16)
      #expect(fabric.counters().openObjects.values.reduce(0, +) == 7)
    }
    for _ in 0..<3 {
      try use()
      check(fabric)
    }
  }

  /// The region is all that is left of its domain in the hands of the caller.
  @Test func aRegionKeepsItsDomainOpen() throws {
    let fabric = SimulatedFabric()
    let memory = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 8)
    defer { memory.deallocate() }
    func register() throws -> MemoryRegion {
      try MemoryRegion(
        try Domain(try #require(try offers(fabric).first)), address: memory, length: 64, requestedKey: 0)
    }
    do {
      let region = try register()
      #expect(fabric.counters().openObjects == ["fabric": 1, "domain": 1, "memory region": 1])
      _ = region.key
    }
    check(fabric)
  }

  enum Obstacle: CaseIterable {
    case endpoint
    case enabling
    case registration
    case depth
  }

  @Test(arguments: Obstacle.allCases)
  func whatFailsHalfWayLeavesNothingOpen(obstacle: Obstacle) throws {
    let fabric = SimulatedFabric()
    fabric.updateFaults { faults in
      switch obstacle {
      case .endpoint: faults.refusedEndpoints = 1
      case .enabling: faults.refusedEnablings = 1
      case .registration: faults.refusedRegistrations = 1
      case .depth: break
      }
    }
    let memory = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 8)
    defer { memory.deallocate() }
    func use() throws {
      let offer = try #require(try offers(fabric).first)
      if obstacle == .depth { offer.info.pointee.tx_attr.pointee.size = 100_000 }
      let domain = try Domain(offer)
      let endpoint = try Endpoint(domain, completionQueueSize: 16, addressCount: 16)
      _ = try MemoryRegion(domain, address: memory, length: 64, requestedKey: 5)
      _ = endpoint.address
    }
    let error = #expect(throws: FabricError.self) { try use() }
    let call = [Obstacle.endpoint: "fi_endpoint", .enabling: "fi_enable", .registration: "fi_mr_reg"]
    #expect(error?.call == call[obstacle] ?? "fi_endpoint")
    #expect(error.map { $0.code > 0 && !$0.text.isEmpty } == true)
    check(fabric)
    if obstacle != .depth {
      try use()
      check(fabric)
    }
  }

  @Test(arguments: [true, false])
  func keysAreChosenByWhoMayChoose(provider: Bool) throws {
    var options = FabricOptions()
    options.providerKeys = provider
    options.firstKey = 0
    let fabric = SimulatedFabric(options)
    let memory = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 8)
    defer { memory.deallocate() }
    do {
      let offer = try #require(try offers(fabric).first)
      #expect(offer.choosesKeys == provider)
      let region = try MemoryRegion(try Domain(offer), address: memory, length: 64, requestedKey: 42)
      #expect(region.key == (provider ? 0 : 42))
    }
    check(fabric)
  }

  @Test func aFailedOperationIsReportedInTheProvidersWords() throws {
    var options = FabricOptions()
    options.contextSpace = true
    let fabric = SimulatedFabric(options)
    let memory = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 8)
    defer { memory.deallocate() }
    do {
      let domain = try Domain(try #require(try offers(fabric).first))
      let endpoint = try Endpoint(domain, completionQueueSize: 16, addressCount: 16)
      let region = try MemoryRegion(domain, address: memory, length: 64, requestedKey: 5)
      let place = try endpoint.peers.insert(endpoint.address)
      var context = fi_context2()
      let result = withUnsafeMutablePointer(to: &context) { context -> FailedCompletion? in
        let posted = fi_write(endpoint.raw, memory, 64, region.descriptor, place, 0x1234, region.key + 1, context)
        #expect(posted == 0)
        var entry = fi_cq_entry()
        #expect(endpoint.completions.read(into: &entry, count: 1) == -Int(FI_EAVAIL))
        let failure = endpoint.completions.readError()
        #expect(failure?.context == UnsafeMutableRawPointer(context))
        return failure
      }
      let failure = try #require(result)
      #expect(failure.code == FI_EACCES && failure.providerCode == ProviderError.badRemoteAddress)
      #expect(failure.summary.contains("Invalid remote memory address") && failure.summary.contains("(\(FI_EACCES))"))
      #expect(endpoint.completions.readError() == nil)
      #expect(endpoint.events?.next() == nil)
    }
    check(fabric)
  }

  @Test func addressesThatAreTooShortAreReadNoFurtherThanTheyGo() throws {
    let fabric = SimulatedFabric()
    do {
      let endpoint = try Endpoint(
        try Domain(try #require(try offers(fabric).first)), completionQueueSize: 16, addressCount: 16)
      for address in [[], [0], [UInt8](repeating: 0, count: 32)] as [[UInt8]] {
        let error = #expect(throws: FabricError.self) { _ = try endpoint.peers.insert(address) }
        #expect(error?.call == "fi_av_insert")
      }
    }
    check(fabric)
  }

  @Test(arguments: [nil, false, true] as [Bool?])
  func whetherTransfersAreEmulatedIsAsked(emulated: Bool?) throws {
    var options = FabricOptions()
    let sidePaths = [CFABRIC_OPT_SHARED_MEMORY_PERMITTED, CFABRIC_OPT_CUDA_API_PERMITTED].map { Int32($0) }
    for option in sidePaths { options.endpointOptions[option] = [1] }
    if let emulated {
      options.endpointOptions[Int32(CFABRIC_OPT_EFA_EMULATED_READ)] = [0]
      options.endpointOptions[Int32(CFABRIC_OPT_EFA_EMULATED_WRITE)] = [emulated ? 1 : 0]
    }
    let fabric = SimulatedFabric(options)
    do {
      let endpoint = try Endpoint(
        try Domain(try #require(try offers(fabric).first)), completionQueueSize: 16, addressCount: 16)
      #expect(endpoint.isEmulated == emulated)
      // The provider's own short cuts are turned off.
      for option in sidePaths { #expect(fabric.counters().endpoints[0].options[option] == [0]) }
    }
    check(fabric)
  }
}
