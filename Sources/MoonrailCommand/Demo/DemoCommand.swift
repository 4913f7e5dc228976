internal import ArgumentParser
internal import Glibc
internal import TransferEngine

/// `moonrail demo`: two processes, real bytes, every one checked.
struct DemoCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "demo",
    abstract: "Moves a few GB between two processes of this host and checks every byte.",
    discussion: """
      Starts a target in a process of its own, writes a pattern to it, reads it back into other memory, and compares \
      all of it, until --gigabytes were written and as many read. Needs no EFA card: the provider is one of \
      libfabric's software providers unless --provider=efa is given.

      Examples:
        moonrail demo
        moonrail demo --protocol=tcp
        moonrail demo --provider=shm --gigabytes=16
      """)

  @Option(name: .customLong("protocol"), help: "efa: libfabric, with the provider below. tcp: plain TCP, without it.")
  var transport = "efa"

  @Option(help: "libfabric's provider: 'tcp;ofi_rxm', shm, sockets, efa.")
  var provider = "tcp;ofi_rxm"

  @Option(help: "10^9 bytes to write, and as many to read.")
  var gigabytes = 4.0

  @Option(help: "Seconds that the target may take to start, and a batch to complete.")
  var timeout = 60

  @OptionGroup var neighbours: SameHostOptions

  func run() throws { try execute() }

  /// How much of it, in rounds of what fits into a buffer.
  func plan() throws(CommandFailure) -> DemoPlan {
    guard gigabytes.isFinite, gigabytes > 0, gigabytes <= 1_000_000 else {
      throw CommandFailure("error: --gigabytes=\(gigabytes): must be more than 0 and at most 1000000")
    }
    guard timeout >= 1, timeout <= 86400 else {
      throw CommandFailure("error: --timeout=\(timeout): must be 1 to 86400 seconds")
    }
    return DemoPlan(bytes: gigabytes * 1e9)
  }

  private func execute() throws(CommandFailure) {
    let plan = try plan()
    let choice = try TransportChoice(protocol: transport, provider: provider)
    let signals = StopSignals()
    Output.error(
      "Starting a target and an initiator on \(neighbours.sameHost ? "this host" : choice.label), to move \((Double(plan.bytes) / 1e9).fixed(1)) GB "
        + "each way.")
    let target = try DemoTarget(choice, neighbours, bufferSize: plan.bufferSize, seconds: timeout)
    do throws(CommandFailure) {
      let exchange = try DemoExchange(
        plan: plan, choice, neighbours, target: target.name, timeout: .seconds(timeout))
      while exchange.hasMore {
        try exchange.round()
        target.drain()
        if signals.wait(milliseconds: 0) { throw CommandFailure("error: interrupted") }
      }
      exchange.close()
      try target.stop()
      Output.print(DemoReport(exchange, targetProcess: target.processID).text)
    } catch {
      throw CommandFailure("\(error.message)\(target.lastWords)")
    }
  }
}
