public import CFabric

/// A libfabric in this process, with a network behind it that a test controls. Several engines can use it, and several
/// networks can exist side by side.
///
/// Every call on it goes through one lock per network, so a thread sanitizer sees fewer races in the caller than there
/// are; that the calls on a domain are serialised is checked by the network itself.
public final class SimulatedFabric: Sendable {
  /// What the network offers.
  public typealias Options = FabricOptions

  private let network: Network
  private let slot: Int

  /// Makes a network on which nothing goes wrong yet.
  public init(_ options: Options = Options()) {
    network = Network(options)
    slot = EntryPoints.claim(network)
  }

  deinit { EntryPoints.release(slot) }

  /// What the network offers.
  public var options: Options { network.options }

  /// What an engine is given in place of a loaded library. Valid for as long as this object lives; what was opened
  /// with them may live longer.
  public var functions: cfabric_functions { EntryPoints.functions(slot) }

  /// What goes wrong. To change it while engines run, use ``updateFaults(_:)``: the network counts down in it.
  public var faults: Faults {
    get { network.locked { $0.faults } }
    set { network.locked { $0.faults = newValue } }
  }

  /// Changes what goes wrong, in one step.
  public func updateFaults(_ change: (inout Faults) -> Void) {
    network.locked { change(&$0.faults) }
  }

  /// What happened so far.
  public func counters() -> FabricCounters {
    network.locked { $0.counters }
  }
}
