public import CFabric

/// The peers' addresses that a NIC can send to.
public struct AddressVector: ~Copyable {
  let raw: UnsafeMutablePointer<fid_av>
  private let library: FabricLibrary

  /// Opens a table for about `count` addresses.
  public init(_ domain: Domain, count: Int) throws(FabricError) {
    var attributes = fi_av_attr()
    attributes.type = FI_AV_TABLE
    attributes.count = count
    var raw: UnsafeMutablePointer<fid_av>?
    try domain.library.check("fi_av_open", fi_av_open(domain.raw, &attributes, &raw, nil))
    guard let raw else { throw domain.library.error("fi_av_open", -FI_EINVAL) }
    library = domain.library
    self.raw = raw
  }

  /// Adds the raw address of a peer's endpoint.
  ///
  /// It may come from anybody: a provider reads as many bytes as its addresses have, however few there are, so that
  /// zeros follow.
  public func insert(_ address: [UInt8]) throws(FabricError) -> fi_addr_t {
    var handle: fi_addr_t = cfabric_addr_unspec
    let address = address + [UInt8](repeating: 0, count: Self.longestAddress)
    let inserted = address.withUnsafeBytes { fi_av_insert(raw, $0.baseAddress, 1, &handle, 0, nil) }
    guard inserted == 1, handle != cfabric_addr_unspec else {
      throw FabricError(
        call: "fi_av_insert", code: inserted < 0 ? -inserted : FI_EINVAL,
        text: inserted < 0 ? library.text(-inserted) : "the provider refused the address",
        advice: "The peer's address is of another provider or all zero: check that both sides use the same provider.")
    }
    return handle
  }

  /// No provider's addresses are longer.
  private static let longestAddress = 1024

  /// Takes an address out. No operation to it may be in flight: its completion would be lost.
  public func remove(_ handle: fi_addr_t) {
    var handle = handle
    _ = fi_av_remove(raw, &handle, 1, 0)
  }

  deinit { _ = fi_close(&raw.pointee.fid) }
}
