import CFabric
import SimulatedFabric
import Testing

@testable import Fabric

@Suite struct GPUMemoryTests {
  private func offers(_ fabric: SimulatedFabric, wantsGPUMemory: Bool) throws -> [NICOffer] {
    try ProviderQuery(provider: "sim", wantsGPUMemory: wantsGPUMemory)
      .offers(FabricLibrary(supplied: fabric.functions, name: "simulated"))
  }

  @Test(arguments: [true, false], [true, false])
  func isAskedForWhereItIsWantedAndHadWhereItCanBe(isThere: Bool, isWanted: Bool) throws {
    var options = FabricOptions()
    options.deviceMemory = isThere
    let found = try offers(SimulatedFabric(options), wantsGPUMemory: isWanted)
    #expect(found.count == options.nicCount)
    #expect(found.allSatisfy { $0.reachesGPUMemory == (isThere && isWanted) })
  }

  @Test(arguments: [
    ("", true), ("cuda", true), ("system;CUDA", true), ("system", false), ("rocr;ze", false), (";", false),
  ])
  func theUsersWordIsUnderstood(value: String, allows: Bool) {
    #expect(ProviderSettings.allowsCUDA(value) == allows)
  }

  @Test func isRegisteredAsTheGPUs() throws {
    var options = FabricOptions()
    options.deviceMemory = true
    let fabric = SimulatedFabric(options)
    let memory = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 64)
    defer { memory.deallocate() }
    do {
      let domain = try Domain(try offers(fabric, wantsGPUMemory: true)[0])
      let host = try MemoryRegion(domain, address: memory, length: 64, requestedKey: 1)
      let gpu = try MemoryRegion(domain, address: memory, length: 64, cudaDevice: 3, requestedKey: 2)
      #expect(host.key != gpu.key)
    }
    #expect(fabric.counters().registeredGPUs == [3])
    #expect(fabric.counters().openObjects == [:])
    // A NIC that was opened for host memory refuses.
    let domain = try Domain(try offers(fabric, wantsGPUMemory: false)[0])
    let error = #expect(throws: FabricError.self) {
      _ = try MemoryRegion(domain, address: memory, length: 64, cudaDevice: 3, requestedKey: 2)
    }
    #expect(error?.call == "fi_mr_regattr" && error?.advice.contains("nvidia_peermem") == true)
  }
}
