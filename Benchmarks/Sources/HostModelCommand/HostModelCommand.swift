import ArgumentParser
import Glibc
import HostModel

/// Predicts what hosts with EFA would move, from what an operation costs here.
@main
struct HostModelCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "host-model",
    abstract: "Predicts the throughput of hosts that are not here.",
    discussion: """
      Runs the engine, its plan and its rails included, on a simulated clock: an operation costs a core the \
      instructions that were counted, a NIC carries its line rate, and a completion comes a round trip after the last \
      byte. Prints what it takes for granted, then what follows.
      """)

  @Option(help: "Instructions per operation in the engine. Default: what was counted for the number of NICs.")
  var engineInstructions: Double?

  @Option(help: "Instructions per operation in libfabric's provider. Not measured: there is no EFA here.")
  var providerInstructions = Assumptions().providerInstructions

  @Option(help: "Instructions that a core carries out in a nanosecond.")
  var instructionsPerNanosecond = Assumptions().instructionsPerNanosecond

  @Option(help: "Cores that drive the NICs.")
  var cores = Assumptions().cores

  @Option(help: "Microseconds from the last byte on the wire to the completion.")
  var roundTrip = Assumptions().roundTrip

  @Option(help: "The part of the line rate that is left for data.")
  var wireEfficiency = Assumptions().wireEfficiency

  @Option(help: "Requests of a batch.")
  var batch = Assumptions().batch

  @Option(help: "Batches under way at once.")
  var batchesUnderWay = Assumptions().batchesUnderWay

  @Option(help: "The most operations in flight per NIC, in the place of what the kind of host grants.")
  var credits: Int?

  @Option(help: "Decides the order of the blocks.")
  var seed: UInt64 = Assumptions().seed

  @Option(help: "One kind of host in the place of all: \(InstanceType.all.map(\.name).joined(separator: ", ")).")
  var host: String?

  @Option(help: "Another kind of host: its number of NICs, with --line-rate.")
  var nics: Int?

  @Option(help: "Gigabits per second of each of its NICs.")
  var lineRate = 100.0

  @Flag(help: "Print JSON in the place of the table.")
  var json = false

  @Option(help: "A file for a plot.")
  var svg: String?

  func run() throws {
    let study = try Study(hosts: try hosts(), assumptions: assumptions)
    print(json ? study.json : study.table)
    guard let svg else { return }
    guard let file = fopen(svg, "w") else {
      throw ValidationError("\(svg) cannot be written: \(String(cString: strerror(errno)))")
    }
    fputs(Plot(study).text, file)
    fclose(file)
  }

  private func hosts() throws -> [InstanceType] {
    var hosts = InstanceType.all
    if let nics {
      hosts = [InstanceType(name: "other", nics: nics, lineRate: lineRate, credits: 2048)]
    } else if let host {
      hosts = hosts.filter { $0.name == host }
      guard !hosts.isEmpty else { throw ValidationError("'\(host)' is not known. Give --nics and --line-rate.") }
    }
    if let credits {
      for index in hosts.indices { hosts[index].credits = credits }
    }
    return hosts
  }

  private var assumptions: Assumptions {
    var assumptions = Assumptions()
    assumptions.engineInstructions = engineInstructions
    assumptions.providerInstructions = providerInstructions
    assumptions.instructionsPerNanosecond = instructionsPerNanosecond
    assumptions.cores = cores
    assumptions.roundTrip = roundTrip
    assumptions.wireEfficiency = wireEfficiency
    assumptions.batch = batch
    assumptions.batchesUnderWay = batchesUnderWay
    assumptions.seed = seed
    return assumptions
  }
}
