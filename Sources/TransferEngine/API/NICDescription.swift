/// What the engine knows of one NIC that it uses.
public struct NICDescription: Sendable {
  /// The device, as peers and filters name it (`rdmap79s0`).
  public let name: String
  /// libfabric's provider, `efa` on EFA hardware.
  public let provider: String
  /// libfabric's fabric name.
  public let fabric: String
  /// The PCI address, where the host tells.
  public let pciAddress: String?
  /// The NUMA node, where the host tells.
  public let numaNode: Int?
  /// The address that peers are told of it, in hexadecimal.
  public let gid: String
  /// Bits per second, where the provider tells.
  public let linkSpeed: UInt64?
  /// Operations in flight that the engine allows itself on this NIC: the least of what the provider granted.
  public let credits: Int
  /// The transmit depth that the provider reported, in operations.
  public let transmitDepth: Int
  /// The completion queue size that the provider granted, in entries.
  public let completionQueueSize: Int
  /// Whether reads and writes are done by the hardware, emulated, or unknown (a provider that does not tell).
  public let isEmulated: Bool?
  /// Bytes that this NIC has moved for this engine since it was opened.
  public let transferredBytes: UInt64
  /// Operations that this NIC has completed.
  public let completedOperations: UInt64
  /// The most operations that were ever in flight at once.
  public let maximumInFlight: Int
}
