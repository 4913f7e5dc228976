internal import Testing

@testable import MoonrailCommand

@Suite("The built command: exit statuses and what it says", .enabled(if: Tool.path != nil, "moonrail is not built"))
struct CommandLineTests {
  @Test("Flags that do not exist, and values that have no meaning, end with status 1 and a reason")
  func badFlags() {
    for (arguments, text) in [
      (["bench", "--bogus"], "--bogus"), (["bench", "--threads=many"], "many"), (["fly"], "fly"),
      (["bench", "--mode=server"], "Unsupported mode: must be 'initiator' or 'target'"),
      (["bench", "--backend=x"], "Unsupported backend: must be 'classic' or 'tent'"),
      (["bench", "--protocol=rdma", "--segment_id=a:1"], "this build has efa and tcp only"),
      (["validate", "--mode=both"], "Unsupported mode"), (["probe", "--iters=-1"], "--iters"),
      (["demo", "--gigabytes=0"], "--gigabytes"), (["topology", "--custom-topo-json=/nonexistent"], "/nonexistent"),
    ] {
      let outcome = Tool.run(arguments)
      #expect(outcome.status == 1, "\(arguments): \(outcome.error)")
      #expect(outcome.error.contains(text), "\(arguments): \(outcome.error)")
      #expect(outcome.output.isEmpty)
    }
  }

  @Test("Help and version are on standard output, with status 0")
  func help() {
    #expect(Tool.run(["--version"]).output == "moonrail \(moonrailVersion)\n")
    for command in ["bench", "validate", "probe", "demo", "topology", "metadata-server"] {
      let outcome = Tool.run([command, "--help"])
      #expect(outcome.status == 0)
      #expect(outcome.output.contains("moonrail \(command)"))
    }
  }

  @Test("Without an EFA card and without a provider named, bench says so and what to do")
  func noDevice() {
    // FI_PROVIDER keeps a real card, or a fake one, out of sight.
    let outcome = Tool.run(
      [
        "bench", "--mode=target", "--protocol=efa", "--local_server_name=127.0.0.1", "--buffer_size=1048576",
        "--batch_size=1", "--threads=1",
      ],
      environment: ["MOONRAIL_PROVIDER": "", "FI_PROVIDER_PATH": "", "FI_PROVIDER": "tcp"])
    #expect(outcome.status == 1)
    #expect(outcome.error.lowercased().contains("no efa device"), "\(outcome.error)")
    #expect(outcome.error.contains("provider"), "\(outcome.error)")
    #expect(!outcome.error.contains("listening on"))
  }

  @Test("Topology prints JSON that it takes back")
  func topology() throws {
    let outcome = Tool.run(["topology", "--provider=tcp;ofi_rxm", "--json"])
    #expect(outcome.status == 0)
    #expect(outcome.output.hasPrefix("{\n\t\"cpu:0\" : \n\t["), "\(outcome.output)")
    #expect(Tool.run(["topology", "--provider=tcp;ofi_rxm"]).output.contains("preferred"))
  }
}
