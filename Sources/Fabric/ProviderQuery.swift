internal import CFabric
internal import Glibc

/// Asks libfabric for NICs that can do what a transfer engine needs: reliable datagrams with one-sided reads and
/// writes.
public struct ProviderQuery: Sendable {
  /// The provider by libfabric's name.
  public let provider: String

  /// Whether NICs are wanted that reach memory of GPUs, if there are any.
  public let wantsGPUMemory: Bool

  /// A query for `provider`.
  public init(provider: String, wantsGPUMemory: Bool = false) {
    self.provider = provider
    self.wantsGPUMemory = wantsGPUMemory
  }

  /// Whether this is AWS's provider, or one that takes its place under its name.
  public var isEFA: Bool { provider == "efa" }

  /// The NICs on offer, each device once, in the provider's order.
  ///
  /// - Throws: ``FabricError``; ``FabricError/isNoData`` where the provider has none.
  public func offers(_ library: FabricLibrary) throws(FabricError) -> [NICOffer] {
    let offers = try plainOffers(library)
    guard let first = offers.first, first.needsProgress else { return offers }
    // Counting is asked for only where it helps, and is nothing to do without a NIC for.
    let counting = try? self.offers(
      library, delivered: first.deliversBeforeCompletion, gpuMemory: first.reachesGPUMemory, counting: true)
    guard let counting, counting.map(\.domain) == offers.map(\.domain) else { return offers }
    return counting
  }

  private func plainOffers(_ library: FabricLibrary) throws(FabricError) -> [NICOffer] {
    // EFA's completion of a device write means that the far NIC has acknowledged it, and upstream asks for no more.
    // A software provider completes when the kernel has taken the bytes, unless it is asked for delivery.
    // Where a NIC cannot reach the GPUs, or libfabric was built without them, it says that it has nothing on offer.
    if wantsGPUMemory {
      do {
        return try offers(library, delivered: !isEFA, gpuMemory: true)
      } catch {
        guard error.isNoData else { throw error }
      }
    }
    do {
      return try offers(library, delivered: !isEFA)
    } catch {
      guard !isEFA, error.isNoData else { throw error }
      return try offers(library, delivered: false)
    }
  }

  private func offers(
    _ library: FabricLibrary, delivered: Bool, gpuMemory: Bool = false, counting: Bool = false
  ) throws(FabricError) -> [NICOffer] {
    guard let hints = library.functions.dupinfo(nil) else {
      throw FabricError(call: "fi_allocinfo", code: ENOMEM, text: library.text(ENOMEM))
    }
    defer { library.functions.freeinfo(hints) }
    guard
      let fabric = hints.pointee.fabric_attr, let domain = hints.pointee.domain_attr,
      let endpoint = hints.pointee.ep_attr, let transmit = hints.pointee.tx_attr
    else { throw FabricError(call: "fi_allocinfo", code: ENOMEM, text: library.text(ENOMEM)) }

    hints.pointee.caps =
      UInt64(FI_MSG) | UInt64(FI_RMA) | UInt64(FI_READ) | UInt64(FI_WRITE)
      | UInt64(FI_REMOTE_READ) | UInt64(FI_REMOTE_WRITE)
    hints.pointee.mode = FI_CONTEXT | FI_CONTEXT2
    endpoint.pointee.type = FI_EP_RDM
    // fi_freeinfo frees the name, so it has to come from malloc.
    fabric.pointee.prov_name = strdup(provider)
    domain.pointee.threading = FI_THREAD_DOMAIN
    domain.pointee.mr_mode = FI_MR_LOCAL | FI_MR_VIRT_ADDR | FI_MR_ALLOCATED | FI_MR_PROV_KEY
    if gpuMemory {
      hints.pointee.caps |= FI_HMEM
      domain.pointee.mr_mode |= FI_MR_HMEM
    }
    if counting { hints.pointee.caps |= UInt64(FI_RMA_EVENT) }
    if delivered { transmit.pointee.op_flags = FI_DELIVERY_COMPLETE }

    var list: UnsafeMutablePointer<fi_info>?
    let result = library.functions.getinfo(library.requestedVersion, nil, nil, 0, hints, &list)
    guard result == 0, let list else { throw library.error("fi_getinfo", result == 0 ? -FI_ENODATA : result) }
    defer { library.functions.freeinfo(list) }

    var chosen: [NICOffer] = []
    var cursor: UnsafeMutablePointer<fi_info>? = list
    while let info = cursor {
      cursor = info.pointee.next
      guard let offer = NICOffer(copying: info, library: library), isUsable(offer) else { continue }
      // A socket provider lists an interface once per address; the first one, IPv4 where there is any, is used.
      if let index = chosen.firstIndex(where: { $0.device == offer.device }) {
        let isFirstIPv4 =
          chosen[index].info.pointee.addr_format != UInt32(FI_SOCKADDR_IN)
          && info.pointee.addr_format == UInt32(FI_SOCKADDR_IN)
        if isFirstIPv4 { chosen[index] = offer }
      } else {
        chosen.append(offer)
      }
    }
    guard !chosen.isEmpty else { throw library.error("fi_getinfo", -FI_ENODATA) }
    return chosen
  }

  /// The engine's protocol is that of the fabric `efa`; `efa-direct` has the same domains and other rules.
  private func isUsable(_ offer: NICOffer) -> Bool {
    offer.fabric != "efa-direct"
  }
}
