internal import ArgumentParser
internal import Testing
internal import TransferEngine

@testable import MoonrailCommand

@Suite("The bench's flags have upstream's defaults and are checked before anything starts")
struct RunOptionsTests {
  private func parse(_ arguments: String...) throws -> BenchCommand {
    try BenchCommand.parse(GflagsArguments.normalise(arguments))
  }

  /// What the flags are refused with.
  private func refusal(_ arguments: String...) throws -> String? {
    let command = try BenchCommand.parse(GflagsArguments.normalise(["--segment_id=a:1"] + arguments))
    do {
      try command.checkBackend()
      _ = try command.checkedOperation()
      _ = try command.options.checked()
      return nil
    } catch {
      return error.message
    }
  }

  @Test("The defaults are upstream's")
  func defaults() throws {
    let command = try parse()
    #expect(command.operation == "read")
    #expect(command.backend == "classic")
    let options = command.options
    #expect(options.mode == "initiator")
    #expect(options.bufferSize == 1_073_741_824)
    #expect(options.batchSize == 128)
    #expect(options.blockSize == 65536)
    #expect(options.duration == 10)
    #expect(options.threads == 12)
    #expect(!options.autoDiscovery)
    #expect(options.reportUnit == "GB")
    #expect(options.reportPrecision == 2)
    #expect(options.nicPriorityMatrix.isEmpty)
  }

  @Test("Where this build differs from upstream, the default is what works here")
  func ownDefaults() throws {
    let options = try parse().options
    #expect(options.transport == "efa")
    #expect(options.metadataServer == "P2PHANDSHAKE")
    #expect(options.segmentId.isEmpty)
    #expect(options.deviceName.isEmpty)
    #expect(options.localServerName == localHostName())
    #expect(options.memoryKind.hasHugePages)
    #expect(try !parse("--no_huge_pages").options.memoryKind.hasHugePages)
    #expect(try !parse("--huge-pages=false").options.memoryKind.hasHugePages)
  }

  @Test("What is true or false can be said as upstream's tools take it")
  func truthValues() throws {
    let options = try parse("--scatter=true", "--shared_memory=1", "--same_host=yes", "--nohuge_pages").options
    #expect(options.scatter && options.sharedMemory && options.neighbours.sameHost && !options.hugePages)
    #expect(try !parse("--scatter=false").options.scatter)
  }

  @Test("A buffer too small for all threads is raised, with upstream's warning")
  func bufferIsRaised() throws {
    let parameters = try parse("--segment_id=a:1", "--buffer_size=1000").options.checked()
    #expect(parameters.bufferSize == 65536 * 128 * 12)
    #expect(
      parameters.warnings == ["Invalid flag: buffer size is smaller than require_size, adjust to 100663296"])
    let exact = try parse("--segment_id=a:1", "--buffer_size=100663296").options.checked()
    #expect(exact.bufferSize == 100_663_296)
    #expect(exact.warnings.isEmpty)
  }

  @Test("Requests of different threads and numbers have places of their own, as upstream lays them out")
  func offsets() throws {
    let parameters = try parse("--segment_id=a:1", "--threads=3", "--batch_size=4", "--block_size=10")
      .options.checked()
    #expect(parameters.offset(request: 0, thread: 2) == 20)
    #expect(parameters.offset(request: 2, thread: 1) == 70)
    let all = (0..<4).flatMap { index in (0..<3).map { parameters.offset(request: index, thread: $0) } }
    #expect(all.sorted() == stride(from: 0, to: parameters.requiredSize, by: 10).map { $0 })
  }

  @Test("The messages that upstream's users know")
  func messages() throws {
    #expect(try refusal("--mode=server") == "Unsupported mode: must be 'initiator' or 'target'")
    #expect(try refusal("--backend=new") == "Unsupported backend: must be 'classic' or 'tent'")
    #expect(try refusal("--backend=tent")?.contains("classic engine only") == true)
    #expect(try refusal("--operation=erase") == "Unsupported operation: must be 'read' or 'write'")
  }

  @Test("A protocol of upstream's that is not here says what to use", arguments: ["rdma", "barex", "hip"])
  func otherProtocol(name: String) throws {
    let message = try #require(try refusal("--protocol=\(name)"))
    #expect(message.contains("this build has efa and tcp only"))
    #expect(message.contains("--protocol=tcp"))
    #expect(message.contains("--provider='tcp;ofi_rxm'"))
  }

  @Test(
    "Values without a meaning are refused by name",
    arguments: [
      "--threads=0", "--batch_size=0", "--block_size=-1", "--duration=0", "--timeout=0", "--buffer_size=0",
      "--report_unit=TB", "--report_precision=-1", "--report_precision=400", "--threads=5000", "--use_vram",
      "--protocol=carrier-pigeon",
    ])
  func refused(argument: String) throws {
    let message = try #require(try refusal(argument))
    let name = argument.split(separator: "=")[0]
    #expect(message.hasPrefix("error: \(name)"))
  }

  @Test("Sizes that overflow are refused, not multiplied")
  func overflow() throws {
    let message = try refusal("--block_size=\(Int.max)", "--batch_size=2")
    #expect(message?.contains("more than memory can be addressed with") == true)
  }

  @Test("An initiator without a target is told which flag names it")
  func noSegment() throws {
    #expect(throws: CommandFailure.self) { try parse().options.checked() }
    #expect(try parse("--mode=target").options.checked().mode == .target)
  }

  @Test("The topology file goes to the engine by upstream's variable")
  func priorityMatrix() throws {
    let configuration = try parse("--nic_priority_matrix=/tmp/t.json", "--device_name=a,b").options.configuration()
    #expect(configuration.environment["MC_CUSTOM_TOPO_JSON"] == "/tmp/t.json")
    #expect(configuration.deviceFilter == "a,b")
  }

  @Test("The other commands have upstream's defaults, too")
  func probeDefaults() throws {
    let probe = try ProbeCommand.parse([])
    #expect(probe.mode == "initiator")
    #expect(probe.metadataServer == "P2PHANDSHAKE")
    #expect(probe.localServerName == "\(localHostName()):12345")
    #expect(probe.warmup)
    #expect(probe.iters == 5)
    #expect(probe.xferSize == 1_048_576)
    #expect(probe.bufferSize == 1_073_741_824)
    #expect(try !ProbeCommand.parse(GflagsArguments.normalise(["--warmup=false"])).warmup)
  }
}
