internal import ArgumentParser
internal import EngineLog
internal import Glibc

/// The command `moonrail`.
@main
struct MoonrailTool: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "moonrail",
    abstract: "Moves memory between hosts over AWS EFA and other libfabric providers.",
    discussion: """
      On a machine without an EFA card, name a software provider with --provider or MOONRAIL_PROVIDER: \
      'tcp;ofi_rxm', shm or sockets.

      Examples:
        moonrail demo
        moonrail topology
        moonrail bench --mode=target --local_server_name=10.0.0.2 --protocol=efa
        moonrail bench --segment_id=10.0.0.2:15428 --protocol=efa --operation=write
        moonrail metadata-server --port=8080

      Flags of the upstream tools are taken in all their spellings: --block_size=65536, --block-size 65536, \
      -block_size=65536, --auto_discovery, --noauto_discovery, --auto_discovery=false.
      """,
    version: "moonrail \(moonrailVersion)",
    subcommands: [
      DemoCommand.self, BenchCommand.self, ValidateCommand.self, ProbeCommand.self, TopologyCommand.self,
      MetadataServerCommand.self,
    ])

  /// Parses and runs; every way to fail ends with exit status 1 and a message on standard error.
  static func main() {
    StandardErrorLog.bootstrap()
    // A peer or a pipe that goes away is an error of a call, not the end of the process.
    signal(SIGPIPE, SIG_IGN)
    do {
      var command = try parseAsRoot(GflagsArguments.normalise(Array(CommandLine.arguments.dropFirst())))
      try command.run()
    } catch let failure as CommandFailure {
      Output.error(failure.message)
      Glibc.exit(1)
    } catch {
      let text = fullMessage(for: error)
      if exitCode(for: error).isSuccess {
        Output.print(text)
        Glibc.exit(0)
      }
      Output.error(text)
      Glibc.exit(1)
    }
  }
}
