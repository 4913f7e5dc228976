internal import Fabric
internal import Topology

/// Which of the NICs on offer are used.
struct NICSelection {
  private let filter: DeviceFilter
  private let isLocalOnly: Bool

  init(_ configuration: Configuration) {
    filter = DeviceFilter(deviceNames: configuration.deviceFilter, environment: configuration.environment)
    isLocalOnly = Self.isLoopback(configuration.localServerName)
  }

  /// The NICs to open.
  ///
  /// A socket provider offers every interface of the host, of which the loopback one is right exactly if peers know
  /// this host by a loopback name; a filter that names devices decides otherwise.
  func choose(from offers: [NICOffer], query: ProviderQuery) throws(TransferError) -> [NICOffer] {
    var chosen = offers.filter { filter.accepts($0.device) }
    guard !chosen.isEmpty else {
      throw TransferError(
        .deviceNotFound,
        "The device filter leaves no NIC: provider \(query.provider) offers "
          + "\(offers.map(\.device).joined(separator: ", ")). Correct the device names or MC_TE_FILTERS.")
    }
    if !query.isEFA, filter.names.isEmpty {
      let fitting = chosen.filter { ($0.device == "lo") == isLocalOnly }
      if !fitting.isEmpty { chosen = fitting }
    }
    return chosen
  }

  private static func isLoopback(_ name: String) -> Bool {
    name.hasPrefix("127.") || name.hasPrefix("localhost") || name.hasPrefix("[::1]") || name == "::1"
  }

  /// Says that there is no NIC, what was looked at, and what to do.
  static func nothingFound(
    _ query: ProviderQuery, _ library: FabricLibrary, _ inventory: HostInventory, _ error: FabricError
  ) -> TransferError {
    let rdma = inventory.infinibandDevices.map(\.name)
    let seen =
      rdma.isEmpty
      ? "the kernel shows no RDMA device in /sys/class/infiniband"
      : "the kernel shows \(rdma.joined(separator: ", ")) in /sys/class/infiniband"
    guard query.isEFA else {
      return TransferError(
        .deviceNotFound,
        "Provider '\(query.provider)' offers no NIC with reliable datagrams and RMA: \(error) (looked at: "
          + "\(library.summary)). `fi_info -l` lists the providers of this library.")
    }
    return TransferError(
      .deviceNotFound,
      """
      No EFA device: \(error).
      Looked at: \(library.summary), provider 'efa'; \(seen).
      What to do: on an EFA instance, check that the network interface is of type EFA, that the efa kernel module is \
      loaded, that /dev/infiniband is passed into the container, and that libfabric is the EFA installer's. Without \
      an EFA card, name a software provider: --provider 'tcp;ofi_rxm' or MOONRAIL_PROVIDER='tcp;ofi_rxm' (also shm, \
      sockets).
      """)
  }
}
