internal import Cuda
internal import Synchronization
internal import Topology

/// The topology of an engine, whose GPUs get CUDA's numbers as soon as CUDA tells them: before a program has initialised
/// it, they have those of their PCI order.
final class LiveTopology: Sendable {
  private struct State {
    var topology: Topology
    var isFinal: Bool
  }

  private let state: Mutex<State>
  private let devices: [NetworkDevice]
  private let inventory: HostInventory?

  /// A topology that stays as it is.
  init(_ topology: Topology) {
    state = Mutex(State(topology: topology, isFinal: true))
    devices = []
    inventory = nil
  }

  /// What is discovered of `devices`.
  init(devices: [NetworkDevice], inventory: HostInventory) {
    self.devices = devices
    self.inventory = inventory
    state = Mutex(State(topology: Topology.discover(devices: devices, inventory: inventory), isFinal: false))
    learn(from: CUDADriver.mapped)
  }

  var current: Topology { state.withLock { $0.topology } }

  /// Takes CUDA's numbers of the GPUs, once.
  func learn(from driver: CUDADriver?) {
    state.withLock { state in
      guard !state.isFinal, let inventory, let addresses = driver?.pciAddresses else { return }
      state.topology = Topology.discover(devices: devices, inventory: inventory.numberingGPUs(as: addresses))
      state.isFinal = true
    }
  }
}
