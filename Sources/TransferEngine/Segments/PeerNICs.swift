/// A peer's NICs, and which of them each of our rails talks to. Hosts of one kind have the same, so that a thousand of
/// them share one.
final class PeerNICs: @unchecked Sendable {
  /// In the order of the peer's descriptor.
  let names: [String]
  /// By rail: the NIC to use where the memory is registered with it.
  let primary: UnsafeBufferPointer<Int>

  /// - Parameter rails: The local devices by name, in the order of the rails.
  init(_ names: [String], rails: [String]) {
    self.names = names
    // By name first: on two hosts of one kind the same name is the same place on the same network rail. What has no
    // namesake is dealt out evenly.
    let primary = UnsafeMutableBufferPointer<Int>.allocate(capacity: rails.count)
    for rail in rails.indices {
      primary.initializeElement(
        at: rail, to: names.firstIndex(of: rails[rail]) ?? (names.isEmpty ? 0 : rail % names.count))
    }
    self.primary = UnsafeBufferPointer(primary)
  }

  deinit { primary.deallocate() }
}
