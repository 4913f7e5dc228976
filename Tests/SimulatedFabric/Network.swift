import CFabric
import Glibc
import Synchronization

/// What all objects of one simulated network share, behind one lock.
final class Network: Provider {
  struct State {
    var faults = Faults()
    var counters: FabricCounters
    var nextKey: UInt64
    var fabrics = 0
    /// The open endpoints.
    var endpoints: [EndpointAddress: SimulatedEndpoint] = [:]
    /// Freed with the network.
    var handles: [UnsafeMutableRawPointer] = []

    mutating func violate(_ text: String) {
      // A caller in a loop must not eat the memory.
      if counters.violations.count < 1000 { counters.violations.append(text) }
    }
  }

  let options: FabricOptions
  /// Part of its addresses, so that another network's mean nothing here.
  let number: UInt32
  private let state: Mutex<State>

  private static let networks = Atomic<UInt32>(0)

  init(_ options: FabricOptions) {
    self.options = options
    number = Self.networks.wrappingAdd(1, ordering: .relaxed).newValue
    state = Mutex(
      State(
        counters: FabricCounters(nics: Array(repeating: .init(), count: options.nicCount)),
        nextKey: options.firstKey))
  }

  deinit {
    state.withLock { state in
      for handle in state.handles { free(handle) }
    }
  }

  func locked<Result>(_ body: (inout State) -> Result) -> Result {
    state.withLock { state in
      nonisolated(unsafe) let result = body(&state)
      return result
    }
  }

  func openFabric(
    _ attributes: UnsafeMutablePointer<fi_fabric_attr>?,
    _ result: UnsafeMutablePointer<UnsafeMutablePointer<fid_fabric>?>?, _ context: UnsafeMutableRawPointer?
  ) -> Int32 {
    locked { state in
      state.fabrics += 1
      let fabric = SimulatedFabricObject(self, number: state.fabrics - 1)
      result?.pointee = Handle.make(fabric.fid(context), for: fabric, &state)
      return 0
    }
  }
}
