internal import Fabric
public import Topology
internal import TransferEngine

/// What a host has, seen without an engine.
public enum LocalTopology {
  /// The NICs of the provider that the environment names, EFA's by default, and which memory they are near.
  ///
  /// - Parameter deviceFilter: Names to look at, comma separated; empty: all.
  public static func discover(deviceFilter: String = "") -> Topology {
    let environment = ProcessEnvironment.current
    if let custom = Topology.custom(environment: environment).topology { return custom }
    let filter = DeviceFilter(deviceNames: deviceFilter, environment: environment)
    let offers = ProtocolChoice.offers(Configuration(localServerName: "", environment: environment))
    let devices = offers.filter { filter.accepts($0.device) }.map {
      NetworkDevice(name: $0.device, pciAddress: $0.pciAddress, speed: $0.linkSpeed)
    }
    return Topology.discover(devices: devices, inventory: HostInventory())
  }
}
