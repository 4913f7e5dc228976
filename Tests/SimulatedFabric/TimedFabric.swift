public import CFabric
import Synchronization

/// When things happen on a ``TimedFabric``. Times are in picoseconds from its beginning.
public protocol Timekeeper: AnyObject {
  /// An operation of `bytes` is posted on NIC `nic`. Returns when its completion can be read.
  func posted(bytes: Int, on nic: Int) -> UInt64
  /// The completion queue of `nic` is looked at. Returns the time that it is then.
  func looked(at nic: Int) -> UInt64
  /// `completions` of `nic` have been read, and `remaining` operations are still in flight on it, the next of which can
  /// be read at `next`.
  func read(completions: Int, of nic: Int, remaining: Int, next: UInt64?)
}

/// A libfabric that does nothing but keep time: a post notes its context, and the completion queue hands it back when a
/// ``Timekeeper`` says that its time has come. It moves no bytes and checks nothing.
///
/// For models, which drive it from one thread.
public final class TimedFabric: @unchecked Sendable {
  private let network: TimedNetwork
  private let slot: Int

  /// Makes a network with the options that matter here: the provider's name, the NICs, the transmit depth, the length of
  /// completion queues, and the longest operation.
  public init(_ options: FabricOptions, timekeeper: any Timekeeper) {
    network = TimedNetwork(options, timekeeper)
    slot = EntryPoints.claim(network)
  }

  deinit { EntryPoints.release(slot) }

  /// What an engine is given in place of a loaded library. Valid for as long as this object lives.
  public var functions: cfabric_functions { EntryPoints.functions(slot) }
}

/// What the entry points of a timed fabric need. Used by one thread.
final class TimedNetwork: Provider, @unchecked Sendable {
  let options: FabricOptions
  let number: UInt32 = 0
  let timekeeper: any Timekeeper

  init(_ options: FabricOptions, _ timekeeper: any Timekeeper) {
    self.options = options
    self.timekeeper = timekeeper
  }

  func openFabric(
    _ attributes: UnsafeMutablePointer<fi_fabric_attr>?,
    _ result: UnsafeMutablePointer<UnsafeMutablePointer<fid_fabric>?>?, _ context: UnsafeMutableRawPointer?
  ) -> Int32 {
    let place = TimedObject.open(
      fid_fabric(
        fid: fid(fclass: Int(FI_CLASS_FABRIC), context: context, ops: TimedObject.common),
        ops: TimedObject.fabricTable, api_version: cfabric_version(1, 17)), self, nic: 0)
    result?.pointee = place
    return 0
  }
}
