internal import ArgumentParser
internal import Fabric
internal import Topology
internal import TransferEngine

/// `moonrail topology`: which NICs are near which memory.
struct TopologyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "topology",
    abstract: "Shows the NICs of this host and which memory they are near.",
    discussion: """
      --json prints the topology as peers and MC_CUSTOM_TOPO_JSON take it, and nothing else on standard output; without \
      it there is a table of NICs and one of locations.

      Examples:
        moonrail topology
        moonrail topology --provider='tcp;ofi_rxm' --json > topology.json
        MC_CUSTOM_TOPO_JSON=topology.json moonrail topology
      """)

  @Flag(inversion: .prefixedNo, exclusivity: .chooseLast, help: "The topology as JSON.")
  var json = false

  @Option(help: "libfabric's provider: efa, 'tcp;ofi_rxm', shm, sockets. Default: MOONRAIL_PROVIDER, or else efa.")
  var provider: String?

  @Option(help: "Show these NICs only, comma separated. Default: all.")
  var deviceName = ""

  @Option(help: "A file with the topology to show in place of what is discovered, as MC_CUSTOM_TOPO_JSON.")
  var customTopoJson: String?

  func run() throws { try execute() }

  private func execute() throws(CommandFailure) {
    var environment = ProcessEnvironment.current
    if let customTopoJson { environment["MC_CUSTOM_TOPO_JSON"] = customTopoJson }
    let custom = Topology.custom(environment: environment)
    if let warning = custom.warning {
      // What was named on the command line must not be left out in silence.
      if customTopoJson != nil { throw CommandFailure("error: \(warning)") }
      Output.error("warning: \(warning)")
    }
    let provider = provider ?? environment["MOONRAIL_PROVIDER"] ?? "efa"
    let nics = discover(provider, environment)
    let topology =
      custom.topology ?? Topology.discover(devices: nics.map(\.networkDevice), inventory: HostInventory())
    if json {
      Output.print(topology.json(styled: true).trimmingNewline())
    } else {
      if !nics.isEmpty { Output.print(Self.table(nics) + "\n") }
      Output.print(topology.table().trimmingNewline())
    }
  }

  /// The NICs that libfabric offers; none, and why on standard error, where it has none.
  private func discover(_ provider: String, _ environment: [String: String]) -> [NICOffer] {
    ProviderSettings.limitToHostMemory()
    do {
      let library = try FabricLibrary.load(explicitPath: environment["MOONRAIL_LIBFABRIC"])
      if !json { Output.print("\(library.summary), provider \(provider)\n") }
      let filter = DeviceFilter(deviceNames: deviceName, environment: environment)
      let offers = try ProviderQuery(provider: provider).offers(library)
      let unmatched = filter.unmatched(against: offers.map(\.device))
      if !unmatched.isEmpty {
        let there = offers.map(\.device).joined(separator: ", ")
        Output.error("warning: no NIC is named \(unmatched.joined(separator: ", ")); there are: \(there)")
      }
      return offers.filter { filter.accepts($0.device) }
    } catch {
      Output.error("no NICs of provider \(provider): \(error)")
      if provider == "efa" {
        Output.error("On a host without an EFA card, name a software provider: --provider='tcp;ofi_rxm', shm, sockets.")
      }
      return []
    }
  }

  private static func table(_ nics: [NICOffer]) -> String {
    let inventory = HostInventory()
    let rows = nics.map { nic in
      [
        nic.device, nic.domain, nic.fabric, nic.pciAddress ?? "-",
        nic.pciAddress.flatMap { inventory.numaNode(ofPCI: $0) }.map(String.init) ?? "-",
        nic.linkSpeed.map { "\(Double($0) / 1e9) Gb/s" } ?? "-",
      ]
    }
    return textTable(["NIC", "domain", "fabric", "PCI", "NUMA", "speed"], rows)
  }
}

extension NICOffer {
  fileprivate var networkDevice: NetworkDevice {
    NetworkDevice(name: device, pciAddress: pciAddress, speed: linkSpeed)
  }
}

extension String {
  fileprivate func trimmingNewline() -> String { hasSuffix("\n") ? String(dropLast()) : self }
}
