/// A NIC as the topology needs to know it.
public struct NetworkDevice: Hashable, Sendable {
  /// The name it is used by: the libfabric domain's or the verbs device's, such as `rdmap0s6`.
  public var name: String
  /// Where it sits on the PCI bus, as `0000:00:06.0`; nil for one that is not a PCI device.
  public var pciAddress: String?
  /// The NUMA node that it is attached to; nil if unknown.
  public var numaNode: Int?
  /// Bits per second; nil if unknown.
  public var speed: UInt64?

  /// A NIC of which at least the name is known.
  public init(name: String, pciAddress: String? = nil, numaNode: Int? = nil, speed: UInt64? = nil) {
    self.name = name
    self.pciAddress = pciAddress
    self.numaNode = numaNode
    self.speed = speed
  }
}
