internal import CFabric

/// A fabric: the network that a NIC is on. Closed when it goes.
public struct Fabric: ~Copyable {
  let raw: UnsafeMutablePointer<fid_fabric>
  let library: FabricLibrary

  /// Opens the fabric of `offer`.
  public init(_ offer: NICOffer) throws(FabricError) {
    var raw: UnsafeMutablePointer<fid_fabric>?
    let library = offer.library
    try library.check("fi_fabric", library.functions.fabric(offer.info.pointee.fabric_attr, &raw, nil))
    guard let raw else { throw library.error("fi_fabric", -FI_EINVAL) }
    self.library = library
    self.raw = raw
  }

  deinit { _ = fi_close(&raw.pointee.fid) }
}

/// A NIC that is open. Endpoints and memory regions hold on to their domain, so that it closes after the last of them.
///
/// All calls on a domain and on what belongs to it must be serialised by the caller (`FI_THREAD_DOMAIN`): the engine's
/// rails do, and libfabric takes no locks of its own in return. Hence `@unchecked Sendable`.
public final class Domain: @unchecked Sendable {
  /// What was opened.
  public let offer: NICOffer
  let raw: UnsafeMutablePointer<fid_domain>
  private let fabric: Fabric

  var library: FabricLibrary { offer.library }
  var rawFabric: UnsafeMutablePointer<fid_fabric> { fabric.raw }

  /// Opens the NIC of `offer` on a fabric of its own.
  public init(_ offer: NICOffer) throws(FabricError) {
    let fabric = try Fabric(offer)
    var raw: UnsafeMutablePointer<fid_domain>?
    try offer.library.check(
      "fi_domain", fi_domain(fabric.raw, offer.info, &raw, nil),
      advice: "Another process may hold the NIC's resources; for EFA, /dev/infiniband must be accessible.")
    guard let raw else { throw offer.library.error("fi_domain", -FI_EINVAL) }
    self.offer = offer
    self.raw = raw
    self.fabric = fabric
  }

  deinit { _ = fi_close(&raw.pointee.fid) }
}
