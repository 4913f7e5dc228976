/// What a simulated network offers to the engines that use it. Fixed when the network is made.
public struct FabricOptions: Sendable {
  /// The provider's name. `"efa"` also names the domains as EFA does (`rdmap0s0-rdm`); any other name gives `sim0`.
  public var providerName = "sim"
  /// The fabric's name; nil is the provider's.
  public var fabricName: String?
  /// NICs, so domains, that `fi_getinfo` lists.
  public var nicCount = 2
  /// Operations that one endpoint may have in flight; asking for more is refused.
  public var transmitDepth = 64
  /// The most entries that a completion queue is granted. What was granted is written back.
  public var completionQueueSize = 1024
  /// Remote addresses are virtual addresses (`FI_MR_VIRT_ADDR`), not offsets from the start of the region.
  public var virtualAddressing = true
  /// The provider chooses the keys (`FI_MR_PROV_KEY`), unique in the network.
  public var providerKeys = true
  /// The first of the provider's keys. Zero is a key like any other.
  public var firstKey: UInt64 = 0x1000
  /// Local buffers have to be registered too (`FI_MR_LOCAL`).
  public var localRegistration = false
  /// An operation's context has to lend the provider 64 bytes (`FI_CONTEXT2`), which it scribbles on and checks.
  public var contextSpace = false
  /// `FI_HMEM` may be asked for. The memory is taken to be host memory all the same.
  public var deviceMemory = false
  /// The longest operation.
  public var maximumMessageSize = 1 << 30
  /// The longest `fi_inject_write`.
  public var injectSize = 64
  /// The longest registration.
  public var maximumRegistrationSize = Int.max
  /// Each NIC is described as a PCI device on a bus of its own, 100 Gbit/s.
  public var describesDevices = false
  /// The endpoint options that the provider knows, with their values; for any other the answer is `-FI_ENOPROTOOPT`.
  public var endpointOptions: [Int32: [UInt8]] = [:]
  /// Decides everything that is random: same seed, same calls, same outcome.
  public var seed: UInt64 = 1

  /// The options of an ordinary network.
  public init() {}

  /// The name of a NIC's domain.
  public func domainName(_ nic: Int) -> String {
    providerName == "efa" ? "rdmap\(nic)s0-rdm" : "sim\(nic)"
  }
}
