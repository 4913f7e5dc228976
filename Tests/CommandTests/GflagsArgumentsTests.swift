internal import ArgumentParser
internal import Testing
internal import TransferEngine

@testable import MoonrailCommand

@Suite("Command lines of the upstream tools mean the same here")
struct GflagsArgumentsTests {
  @Test(
    "A flag is taken in every spelling",
    arguments: [
      "--block_size=4096", "--block-size=4096", "-block_size=4096", "-block-size=4096",
    ])
  func spelling(argument: String) throws {
    #expect(GflagsArguments.normalise([argument]) == ["--block-size=4096"])
    let command = try BenchCommand.parse(GflagsArguments.normalise([argument]))
    #expect(command.options.blockSize == 4096)
  }

  @Test("A value may follow as an argument of its own, and is left alone")
  func separateValue() throws {
    let arguments = GflagsArguments.normalise(["--device_name", "rdmap_0", "-report_unit", "GiB"])
    #expect(arguments == ["--device-name", "rdmap_0", "--report-unit", "GiB"])
    let command = try BenchCommand.parse(arguments)
    #expect(command.options.deviceName == "rdmap_0")
    #expect(command.options.reportUnit == "GiB")
  }

  @Test("A value after = keeps its underscores, dashes and further =")
  func valueIsKept() {
    #expect(
      GflagsArguments.normalise(["--local_server_name=a_b-c=d"]) == ["--local-server-name=a_b-c=d"])
  }

  @Test(
    "A boolean is taken in every spelling",
    arguments: [
      ("--auto_discovery", true), ("-auto_discovery", true), ("--auto-discovery", true),
      ("--auto_discovery=true", true), ("--auto_discovery=1", true), ("--auto_discovery=YES", true),
      ("--noauto_discovery", false), ("-noauto_discovery", false), ("--no-auto-discovery", false),
      ("--auto_discovery=false", false), ("--auto_discovery=0", false), ("--auto_discovery=F", false),
    ])
  func boolean(argument: String, value: Bool) throws {
    let command = try BenchCommand.parse(GflagsArguments.normalise([argument]))
    #expect(command.options.autoDiscovery == value)
  }

  @Test("A boolean that is neither true nor false is refused")
  func badBoolean() {
    #expect(throws: (any Error).self) {
      try BenchCommand.parse(GflagsArguments.normalise(["--auto_discovery=maybe"]))
    }
  }

  @Test("Of a flag that is given twice the last one counts")
  func lastCounts() throws {
    let command = try BenchCommand.parse(
      GflagsArguments.normalise(["--threads=1", "--threads=3", "--auto_discovery", "--noauto_discovery"]))
    #expect(command.options.threads == 3)
    #expect(!command.options.autoDiscovery)
  }

  @Test("Negative numbers, short flags and what follows -- stay as they are")
  func untouched() throws {
    let arguments = ["-1", "-h", "a_b", "-", "--", "-block_size=1"]
    #expect(GflagsArguments.normalise(arguments) == arguments)
    #expect(try BenchCommand.parse(GflagsArguments.normalise(["--gpu_id", "-1"])).options.gpuId == -1)
    #expect(try BenchCommand.parse(GflagsArguments.normalise(["-gpu_id=-1"])).options.gpuId == -1)
  }

  @Test("The command lines of upstream's EFA guide are accepted")
  func guide() throws {
    let target = [
      "--mode=target", "--protocol=efa", "--metadata_server=P2PHANDSHAKE", "--buffer_size=2147483648",
    ]
    let initiator = [
      "--protocol=efa", "--metadata_server=P2PHANDSHAKE", "--segment_id=10.0.0.2:15428", "--operation=write",
      "--duration=10", "--threads=16", "--block_size=1048576", "--batch_size=128", "--buffer_size=2147483648",
      "--report_unit=GB",
    ]
    #expect(try BenchCommand.parse(GflagsArguments.normalise(target)).options.checked().mode == .target)
    let command = try BenchCommand.parse(GflagsArguments.normalise(initiator))
    let parameters = try command.options.checked()
    #expect(try command.checkedOperation() == .write)
    #expect(parameters.requiredSize == 2_147_483_648)
    #expect(parameters.warnings.isEmpty)
  }

  @Test("Every flag of the upstream bench is known")
  func allFlags() throws {
    let arguments = [
      "--mode=initiator", "--operation=read", "--protocol=efa", "--metadata_server=P2PHANDSHAKE",
      "--local_server_name=a", "--segment_id=b:1", "--device_name=", "--nic_priority_matrix=", "--buffer_size=1",
      "--batch_size=1", "--block_size=1", "--duration=1", "--threads=1", "--auto_discovery=false", "--report_unit=GB",
      "--report_precision=2", "--backend=classic", "--use_vram=false", "--init_mem=true", "--gpu_id=0",
    ]
    let command = try BenchCommand.parse(GflagsArguments.normalise(arguments))
    #expect(try command.options.checked().mode == .initiator)
  }
}
