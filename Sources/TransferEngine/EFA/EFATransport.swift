internal import Fabric
internal import Logging
internal import Synchronization
internal import Topology

/// The NICs of this host that libfabric drives, opened: one endpoint each, shared by all peers.
final class EFATransport: Sendable {
  let library: FabricLibrary
  let progress: Progress
  let liveTopology: LiveTopology
  /// What the host tells of each rail's device.
  let devices: [NetworkDevice]

  var rails: [Rail] { progress.rails }
  var topology: Topology { liveTopology.current }

  /// Whether the provider addresses peers' memory by virtual address; the same for all NICs of a provider.
  let usesVirtualAddresses: Bool
  /// The most bytes of one operation, on all of the NICs.
  let maximumMessageSize: Int

  private init(
    library: FabricLibrary, progress: Progress, topology: LiveTopology, devices: [NetworkDevice],
    usesVirtualAddresses: Bool, maximumMessageSize: Int
  ) {
    self.library = library
    self.progress = progress
    liveTopology = topology
    self.devices = devices
    self.usesVirtualAddresses = usesVirtualAddresses
    self.maximumMessageSize = maximumMessageSize
  }

  /// Finds the NICs and opens those that the filters leave.
  ///
  /// - Throws: ``TransferError`` that says what was looked at, if no NIC is left.
  static func open(
    _ configuration: Configuration, _ settings: Settings, library supplied: FabricLibrary?, logger: Logger
  ) throws(TransferError) -> EFATransport {
    let inventory = HostInventory()
    let provider = configuration.provider ?? settings.provider ?? "efa"
    let looksForGPUs = TransferEngine.looksForGPUs(provider: provider)
    ProviderSettings.adaptMessages(of: provider)
    let library: FabricLibrary
    do {
      library = try supplied ?? FabricLibrary.load(explicitPath: configuration.libfabricPath ?? settings.libfabricPath)
    } catch {
      throw TransferError(.deviceNotFound, "No fabric to use: \(error)")
    }
    let query = ProviderQuery(provider: provider, wantsGPUMemory: looksForGPUs)
    let offers: [NICOffer]
    do {
      offers = try query.offers(library)
    } catch {
      throw NICSelection.nothingFound(query, library, inventory, error)
    }
    let chosen = try NICSelection(configuration).choose(from: offers, query: query)

    var rails: [Rail] = []
    var failures: [String] = []
    for offer in chosen {
      do {
        let rail = try Rail(
          index: rails.count, offer: offer, completionQueueSize: settings.completionQueueSize,
          addressCount: addressCount(settings, offer),
          maximumCredits: creditLimit(settings, provider: query.provider), logger: logger)
        rails.append(rail)
      } catch {
        failures.append("\(offer.device): \(error)")
        logger.warning("\(offer.device) is left out: \(error)")
      }
    }
    guard let first = rails.first else {
      throw TransferError(
        .context,
        "None of the \(chosen.count) NICs of provider \(query.provider) could be opened: "
          + failures.joined(separator: "; "))
    }
    let devices = rails.map { rail in
      let pci = rail.domain.offer.pciAddress
      return NetworkDevice(
        name: rail.device, pciAddress: pci, numaNode: pci.flatMap { inventory.numaNode(ofPCI: $0) },
        speed: rail.domain.offer.linkSpeed)
    }
    let custom = Topology.custom(environment: configuration.environment)
    if let warning = custom.warning { logger.warning("\(warning)") }
    let given = configuration.topology ?? custom.topology
    let topology = given.map { LiveTopology($0) } ?? LiveTopology(devices: devices, inventory: inventory)

    logger.info("\(library.summary), interface \(library.requestedVersion >> 16).\(library.requestedVersion & 0xffff)")
    for rail in rails { logger.info("\(describe(rail))") }
    return EFATransport(
      library: library, progress: Progress(rails: rails), topology: topology, devices: devices,
      usesVirtualAddresses: first.domain.offer.usesVirtualAddresses,
      maximumMessageSize: rails.map { max(1, $0.domain.offer.maximumMessageSize) }.min() ?? .max)
  }

  /// The line per NIC that upstream's users look for in the log, and what it does not say.
  private static func describe(_ rail: Rail) -> String {
    let offer = rail.domain.offer
    let rdma =
      switch rail.isEmulated {
      case true: ", RDMA emulated in software"
      case false: ", RDMA in hardware"
      default: ""
      }
    return "EFA device (libfabric): \(rail.device), domain: \(offer.domain), fabric: \(offer.fabric), provider: "
      + "\(offer.provider) (shared endpoint, max_wr=\(rail.credits), provider tx queue=\(offer.transmitDepth), "
      + "max_cqe=\(rail.completionQueueSize)\(rdma))"
  }

  /// The sockets provider reports a depth of 256. With a peer that was stopped, others stood still above about a hundred
  /// operations in flight; so it gets fewer. That does not cure every stall of it.
  private static func creditLimit(_ settings: Settings, provider: String) -> Int? {
    provider == "sockets" ? min(settings.maximumWorkRequests ?? 64, 64) : settings.maximumWorkRequests
  }

  /// Software providers clear the whole table at once, 8 MiB of it and more for 65,536 addresses, and let it grow later;
  /// shm refuses to make one of more than 256.
  private static func addressCount(_ settings: Settings, _ offer: NICOffer) -> Int {
    offer.needsProgress ? min(settings.addressCount, 256) : settings.addressCount
  }
}
