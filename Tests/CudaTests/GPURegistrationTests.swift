internal import Foundation
internal import TestSupport
internal import Testing

@Suite(
  "Memory of a GPU is registered", .enabled(if: FakeCuda.isBuilt, "\(FakeCuda.advice)"), .timeLimit(.minutes(2)))
struct GPURegistrationTests {
  /// The error with which a peer ends that cannot register its buffer.
  private func refusal(_ make: () throws -> PeerProcess) -> String {
    do {
      _ = try make()
      return "registered"
    } catch {
      return "\(error)"
    }
  }

  @Test func aProcessWithoutCUDAStaysWithout() throws {
    // The library is there to be found, so that it is loaded if anybody looks.
    let peer = try FakeCuda.peer(gpu: -1, provider: nil)
    #expect(try peer.ask("write \(peer.name) 0 \(peer.address + 8192) 4096 1") == "completed 4096")
    #expect(try peer.ask("cuda") == "no")
    #expect(try peer.ask("unregister") == "ok")
    let answer = try peer.ask("refused 0 4096 cuda:0")
    #expect(answer.hasPrefix("refused") && answer.contains("has not loaded CUDA"), "\(answer)")
    #expect(try FakeCuda.peer(gpu: 0, provider: nil).ask("cuda") == "yes")
  }

  @Test(arguments: ["tcp;ofi_rxm", "shm", "sockets"])
  func providersThatDoNotReachItSaySo(_ provider: String) throws {
    let answer = refusal { try FakeCuda.peer(gpu: 1, provider: provider) }
    #expect(answer.contains("is memory of a GPU (cuda:1), which provider \(provider) does not reach"), "\(answer)")
    #expect(answer.contains("[202]") && answer.contains("Use provider efa"), "\(answer)")
    // Host memory of a process with CUDA goes on as ever.
    let host = try FakeCuda.peer(gpu: -1, provider: provider)
    #expect(try host.ask("unregister") == "ok")
    #expect(try host.ask("enter 0").hasPrefix("ok"))
    #expect(try host.ask("register") == "ok")
    #expect(try host.ask("cuda") == "yes")
  }

  @Test func aBufferThatRunsOutOfTheMemoryIsRefused() throws {
    let peer = try FakeCuda.peer(gpu: 0, provider: nil, bufferLength: 4096)
    #expect(try peer.ask("unregister") == "ok")
    let answer = try peer.ask("refused 0 4097")
    #expect(answer.hasPrefix("refused") && answer.contains("begins in memory of kind device(0)"), "\(answer)")
    #expect(try peer.ask("register") == "ok")
  }
}

@Suite(
  "Memory of a GPU is registered with EFA",
  .enabled(if: FakeCuda.isBuilt && TestFabric.fakeNICs > 0, "\(FakeCuda.advice); \(TestFabric.fakeEFAAdvice)"),
  .timeLimit(.minutes(2)))
struct EFARegistrationTests {
  @Test func itIsPublishedWhereItIs() throws {
    #expect(try FakeCuda.peer(gpu: 0, provider: "efa").ask("location") == "ok cuda:0")
    let peer = try FakeCuda.peer(gpu: 1, provider: "efa")
    #expect(try peer.ask("location") == "ok cuda:1")
    #expect(try peer.ask("unregister") == "ok")
    // What the driver says goes before what the caller says.
    #expect(try peer.ask("refused 0 4096 cpu:0") == "registered")
    #expect(try peer.ask("location") == "ok cuda:1")
    let topology = try peer.ask("topology")
    #expect(topology.contains("\"cuda:0\"") && topology.contains("\"cuda:1\""), "\(topology)")
  }

  @Test(arguments: ["0", "1"])
  func theCallersContextStays(parallel: String) throws {
    let peer = try FakeCuda.peer(gpu: 0, provider: "efa", environment: ["MC_ENABLE_PARALLEL_REG_MR": parallel])
    #expect(try peer.ask("context") == "ok 0")
    let other = try peer.ask("enter 1")
    #expect(other != "ok 0")
    #expect(try peer.ask("unregister") == "ok")
    #expect(try peer.ask("register") == "ok")
    #expect(try peer.ask("context") == other)
  }

  @Test func onlyTheNearNICsHaveIt() throws {
    let names = (0..<TestFabric.fakeNICs).map { "\"rdmap\($0)s0\"" }
    let others = (names.prefix(1) + names.dropFirst(2)).joined(separator: ",")
    let file = FileManager.default.temporaryDirectory.appending(path: "moonrail-\(UUID().uuidString).json")
    try Data(#"{"cpu:0":[[\#(names.joined(separator: ","))],[]],"cuda:0":[[\#(names[1])],[\#(others)]]}"#.utf8)
      .write(to: file)
    defer { try? FileManager.default.removeItem(at: file) }
    let near = try FakeCuda.peer(
      gpu: 0, provider: "efa",
      environment: ["MC_CUSTOM_TOPO_JSON": file.path, "MC_EFA_NIC_SELECTION": "local"])
    let far = try FakeCuda.peer(gpu: -1, provider: "efa")
    try near.fill(seed: 1, length: 1 << 20)
    #expect(try near.ask("write \(far.name) 0 \(far.address) 65536 16") == "completed \(1 << 20)")
    #expect(try far.mismatch(seed: 1, length: 1 << 20) == nil)
    let counts = try near.ask("nics").split(separator: " ").dropFirst().compactMap { Int($0) }
    #expect(counts.indices.allSatisfy { ($0 == 1) == (counts[$0] > 0) }, "\(counts)")
    // And from outside, where the far side has nothing but the keys to go by.
    try far.fill(seed: 2, length: 1 << 20)
    #expect(try far.ask("write \(near.name) 0 \(near.address) 65536 16") == "completed \(1 << 20)")
    #expect(try near.mismatch(seed: 2, length: 1 << 20) == nil)
  }

  @Test func memoryThatMovesIsNotForNICs() throws {
    let answer = try FakeCuda.peer(gpu: 0, provider: "efa").ask("managed")
    #expect(answer.hasPrefix("refused") && answer.contains("cudaMallocManaged"), "\(answer)")
    #expect(try FakeCuda.peer(gpu: 0, provider: nil).ask("managed") == "registered")
  }

  @Test(arguments: [["FAKE_EFA_HMEM": "0"], ["FI_HMEM": "system"]])
  func nicsThatDoNotReachItSaySo(environment: [String: String]) throws {
    do {
      _ = try FakeCuda.peer(gpu: 0, provider: "efa", environment: environment)
      Issue.record("registered")
    } catch {
      let advice = environment["FI_HMEM"] == nil ? "EFA installer's libfabric" : "FI_HMEM keeps libfabric from CUDA"
      #expect("\(error)".contains("provider efa does not reach on rdmap0s0") && "\(error)".contains(advice), "\(error)")
    }
    let host = try FakeCuda.peer(gpu: -1, provider: "efa", environment: environment)
    #expect(host.nicCount == TestFabric.fakeNICs)
  }
}
