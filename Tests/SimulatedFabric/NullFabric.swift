public import CFabric
import Synchronization

/// A libfabric that does nothing, at the least cost: a post puts its context into a ring, and the next poll of the
/// completion queue hands it back. It moves no bytes and checks nothing. What an engine costs by itself is measured
/// on it.
///
/// Completion entries have their context and their flags set and nothing else. The operations in flight on one
/// completion queue must not exceed ``capacity``.
public final class NullFabric: Sendable {
  /// Operations that can be in flight on one completion queue.
  public static let capacity = NullRing.capacity

  private let network: NullNetwork
  private let slot: Int

  /// Makes a network with the options that matter here: the provider's name, the NICs, the transmit depth, the memory
  /// registration mode and the longest operation.
  public init(_ options: FabricOptions = FabricOptions()) {
    precondition(options.transmitDepth <= Self.capacity, "a transmit depth over \(Self.capacity)")
    network = NullNetwork(options)
    slot = EntryPoints.claim(network)
  }

  deinit { EntryPoints.release(slot) }

  /// What an engine is given in place of a loaded library. Valid for as long as this object lives.
  public var functions: cfabric_functions { EntryPoints.functions(slot) }
}

/// What the entry points of a null fabric need.
final class NullNetwork: Provider {
  let options: FabricOptions
  let number: UInt32 = 0

  init(_ options: FabricOptions) { self.options = options }

  func openFabric(
    _ attributes: UnsafeMutablePointer<fi_fabric_attr>?,
    _ result: UnsafeMutablePointer<UnsafeMutablePointer<fid_fabric>?>?, _ context: UnsafeMutableRawPointer?
  ) -> Int32 {
    result?.pointee = NullObjects.open(
      fid_fabric(
        fid: fid(fclass: Int(FI_CLASS_FABRIC), context: context, ops: NullObjects.common),
        ops: NullObjects.fabricTable, api_version: cfabric_version(1, 17)))
    return 0
  }
}
