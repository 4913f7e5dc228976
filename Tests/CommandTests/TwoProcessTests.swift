internal import Testing

@testable import MoonrailCommand

/// What libfabric shall offer to a test.
struct TestFabric: Sendable, CustomTestStringConvertible {
  var provider: String
  var environment: [String: String] = [:]
  var nics = 1

  var testDescription: String { environment.isEmpty ? provider : "fake EFA, \(nics) NICs" }

  /// The software providers, and the fake EFA where `MOONRAIL_FAKE_EFA` says that it was built.
  static let all: [TestFabric] = {
    var fabrics = ["shm", "tcp;ofi_rxm"].map { TestFabric(provider: $0) }
    if let folder = environmentVariable("MOONRAIL_FAKE_EFA") {
      fabrics.append(
        TestFabric(
          provider: "efa",
          environment: [
            "FI_PROVIDER": "^psm,psm2", "FI_PROVIDER_PATH": "\(folder)/prov", "FAKE_EFA_NICS": "4",
            "FAKE_EFA_BACKEND": "tcp;ofi_rxm",
          ],
          nics: 4))
    }
    return fabrics
  }()
}

@Suite(
  "Two processes move bytes, and each of them is checked",
  .serialized, .enabled(if: Tool.path != nil, "moonrail is not built"))
struct TwoProcessTests {
  @Test("bench --verify, writing and reading, against a target", arguments: TestFabric.all, ["write", "read"])
  func bench(fabric: TestFabric, operation: String) throws {
    let shape = [
      "--protocol=efa", "--provider=\(fabric.provider)", "--metadata_server=P2PHANDSHAKE",
      "--local_server_name=127.0.0.1", "--threads=2", "--batch_size=16", "--block_size=65536",
      "--buffer_size=1000000",
    ]
    let target = try Target(["bench", "--mode=target"] + shape, fabric.environment)
    let outcome = Tool.run(
      ["bench", "--segment_id=\(target.name)", "--operation=\(operation)", "--duration=1", "--verify"] + shape,
      environment: fabric.environment)
    #expect(outcome.status == 0, "\(outcome.error)\n\(target.log)")
    #expect(outcome.error.contains("Invalid flag: buffer size is smaller than require_size, adjust to 2097152"))
    let line = #/(?m)^Test completed: duration \d+\.\d\d, batch count [1-9]\d*, throughput \d+\.\d\d GB/s$/#
    #expect(outcome.error.firstMatch(of: line) != nil, "\(outcome.error)")
    #expect(outcome.error.contains("Worker 1 stopped!"))
    #expect(outcome.output.contains("2097152 bytes, every one as expected"), "\(outcome.output)")
    #expect(target.stop() == 0, "\(target.log)")
    #expect(target.log.count { $0.contains("Transfer Engine RPC using P2P handshake, listening on ") } == 1)
    #expect(target.log.contains { $0.contains("DRAM is used, numa node num: ") })
  }

  @Test("bench --verify notices bytes that somebody else wrote", arguments: ["write", "read"])
  func foreignBytes(operation: String) throws {
    // So much that comparing it takes longer than the intruder waits for a processor.
    let shape = [
      "--provider=shm", "--local_server_name=127.0.0.1", "--threads=1", "--batch_size=16", "--block_size=1048576",
      "--buffer_size=16777216",
    ]
    let target = try Target(["bench", "--mode=target"] + shape, [:])
    let initiator = ["bench", "--segment_id=\(target.name)"] + shape
    // Without --verify the bench sends 0xCC, over and over, to the same place.
    let intruder = try Target(initiator + ["--operation=write", "--duration=60"], [:])
    let outcome = Tool.run(initiator + ["--operation=\(operation)", "--duration=1", "--verify"])
    #expect(outcome.status == 1, "\(outcome.output)")
    #expect(outcome.error.contains("Detect data integrity problem"), "\(outcome.error)")
    #expect(!outcome.output.contains("as expected"))
    // A signal ends a run early, in order, and with its result.
    #expect(intruder.stop() == 0, "\(intruder.log)")
  }

  @Test("A target that dies in the middle is an error, not a wait without end")
  func targetDies() throws {
    let shape = [
      "--provider=tcp;ofi_rxm", "--local_server_name=127.0.0.1", "--threads=2", "--batch_size=4",
      "--block_size=65536", "--buffer_size=1048576",
    ]
    let target = try Target(["bench", "--mode=target"] + shape, [:])
    let arguments = ["bench", "--segment_id=\(target.name)", "--operation=write", "--duration=50", "--timeout=5"]
    let initiator = try Target(arguments + shape, [:], marker: "warm-up of ")
    target.kill()
    let status = try #require(initiator.end(seconds: 45), "\(initiator.log)")
    #expect(status >> 8 == 1, "\(initiator.log)")
    #expect(initiator.log.contains { $0.contains("FAILED") || $0.contains("error:") }, "\(initiator.log)")
  }

  @Test("bench --json names every NIC and its share")
  func json() throws {
    let fabric = try #require(TestFabric.all.last)
    let shape = [
      "--provider=\(fabric.provider)", "--local_server_name=127.0.0.1", "--threads=2", "--batch_size=32",
      "--block_size=16384", "--buffer_size=2097152",
    ]
    let target = try Target(["bench", "--mode=target"] + shape, fabric.environment)
    let outcome = Tool.run(
      ["bench", "--segment_id=\(target.name)", "--operation=write", "--duration=1", "--json"] + shape,
      environment: fabric.environment)
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(outcome.output.hasPrefix("{\"operation\":\"write\""))
    #expect(outcome.output.split(separator: "\"percent\"").count == fabric.nics + 1 || fabric.environment.isEmpty)
  }

  @Test("validate writes, reads back and compares")
  func validate() throws {
    let shape = [
      "--provider=shm", "--local_server_name=127.0.0.1", "--threads=2", "--batch_size=8", "--block_size=4096",
      "--buffer_size=1048576",
    ]
    let target = try Target(["validate", "--mode=target"] + shape, [:])
    let outcome = Tool.run(["validate", "--segment_id=\(target.name)", "--duration=1"] + shape)
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(outcome.error.contains("Worker 0 stopped! Data validation passed"))
    #expect(outcome.error.contains("Test completed: duration "))
  }

  @Test("probe times the first transfers", arguments: [true, false])
  func probe(warmup: Bool) throws {
    let shape = ["--provider=tcp;ofi_rxm", "--local_server_name=127.0.0.1:12345", "--buffer_size=4194304"]
    let target = try Target(["probe", "--mode=target"] + shape, [:], marker: "[target] ready, addr=")
    let outcome = Tool.run(
      ["probe", "--segment_id=\(target.name)", "--warmup=\(warmup)", "--iters=3", "--xfer_size=1048576"] + shape)
    #expect(outcome.status == 0, "\(outcome.error)")
    let lines = outcome.output.split(separator: "\n")
    #expect(
      lines.first
        == "[initiator] peer=\(target.name) warmup=\(warmup ? "ON" : "OFF") iters=3 xfer_size=1048576")
    #expect(lines.contains { $0.hasPrefix("warmup: ") && $0.hasSuffix(" ms (rc=0)") } == warmup)
    for index in 0..<3 { #expect(lines.contains { $0.hasPrefix("submit #\(index): ") && $0.hasSuffix(" ms") }) }
  }

  @Test("probe --verify proves every transfer, and notices bytes that somebody else wrote")
  func probeVerifies() throws {
    let shape = ["--provider=shm", "--local_server_name=127.0.0.1", "--buffer_size=16384"]
    let target = try Target(["bench", "--mode=target"] + shape, [:])
    let probe = ["probe", "--verify", "--segment_id=\(target.name)", "--xfer_size=4096"] + shape
    let outcome = Tool.run(probe + ["--iters=3"])
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(outcome.output.hasSuffix("verified: 3 transfers, every byte arrived\n"), "\(outcome.output)")
    // It writes the same place, over and over.
    let intruder = try Target(
      ["bench", "--segment_id=\(target.name)", "--operation=write", "--threads=1", "--batch_size=4"]
        + ["--block_size=4096", "--duration=60"] + shape, [:])
    let disturbed = Tool.run(probe + ["--iters=100000"])
    #expect(disturbed.status == 1, "\(disturbed.output.suffix(200))")
    #expect(disturbed.error.contains("Detect data integrity problem: byte"), "\(disturbed.error)")
    #expect(!disturbed.output.contains("verified"))
    #expect(intruder.stop() == 0, "\(intruder.log)")
  }

  @Test("demo ends with every byte verified, over libfabric and over TCP", arguments: [[], ["--protocol=tcp"]])
  func demo(choice: [String]) {
    let outcome = Tool.run(["demo", "--gigabytes=0.3"] + choice, seconds: 120)
    #expect(outcome.status == 0, "\(outcome.error)")
    #expect(outcome.output.split(separator: "\n").count { $0.hasSuffix("yes") } == 2, "\(outcome.output)")
  }

  @Test("demo on a provider that does not exist fails, and says why")
  func demoFails() {
    let outcome = Tool.run(["demo", "--provider=carrier-pigeon", "--timeout=20"])
    #expect(outcome.status == 1)
    #expect(outcome.error.contains("carrier-pigeon"), "\(outcome.error)")
  }

  @Test("A target that is not there is an error within its time")
  func nobody() {
    let outcome = Tool.run([
      "bench", "--provider=tcp;ofi_rxm", "--local_server_name=127.0.0.1", "--segment_id=127.0.0.1:1", "--threads=1",
      "--batch_size=1", "--buffer_size=65536",
    ])
    #expect(outcome.status == 1)
    #expect(outcome.error.contains("127.0.0.1:1"), "\(outcome.error)")
  }
}
