internal import CFabric
internal import Glibc

/// One NIC as a provider offers it: an `fi_info` of ours, and the facts in it that matter.
public final class NICOffer: @unchecked Sendable {
  /// The provider (`efa`, `tcp;ofi_rxm`).
  public let provider: String
  /// The provider's name for the fabric.
  public let fabric: String
  /// libfabric's domain (`rdmap79s0-rdm`).
  public let domain: String
  /// The device as the host and its peers name it (`rdmap79s0`).
  public let device: String
  /// `0000:79:00.0`, where the provider tells.
  public let pciAddress: String?
  /// Bits per second, where the provider tells.
  public let linkSpeed: UInt64?
  /// The address that the endpoint starts from: EFA's holds the GID. May be empty.
  public let sourceAddress: [UInt8]
  /// Operations that may be queued for transmission.
  public let transmitDepth: Int
  /// The most bytes that one operation may move.
  public let maximumMessageSize: Int
  /// The most bytes that can be sent without a registration.
  public let injectSize: Int
  /// Whether the far side is addressed by its virtual addresses, rather than by offsets into a registration.
  public let usesVirtualAddresses: Bool
  /// Whether the provider chooses registration keys.
  public let choosesKeys: Bool
  /// Whether memory of a GPU can be registered with it.
  public let reachesGPUMemory: Bool
  /// Whether peers' reads and writes of our memory need the CPU of this side, and so a thread that looks for them. EFA does
  /// RDMA in hardware from libfabric 1.18 on (its release notes); an older one is not EFA's own but a stand-in for it.
  public let needsProgress: Bool
  /// Whether the provider counts what peers read and write here (``RemoteAccessCounter``).
  public let countsRemoteAccess: Bool
  /// Whether a completed write is in the peer's memory, rather than on its way.
  public let deliversBeforeCompletion: Bool

  let library: FabricLibrary
  /// Immutable after `init`, read by libfabric only: hence `@unchecked Sendable`.
  let info: UnsafeMutablePointer<fi_info>

  /// Copies `info`; nil if it is not complete or memory is short.
  init?(copying original: UnsafePointer<fi_info>, library: FabricLibrary) {
    guard let info = library.functions.dupinfo(original) else { return nil }
    guard
      let fabricAttributes = info.pointee.fabric_attr, let domainAttributes = info.pointee.domain_attr,
      let endpoint = info.pointee.ep_attr, let transmit = info.pointee.tx_attr,
      let domainName = domainAttributes.pointee.name
    else {
      library.functions.freeinfo(info)
      return nil
    }
    self.library = library
    self.info = info
    if let name = fabricAttributes.pointee.prov_name, String(cString: name) == "shm" { Self.nameUniquely(info) }
    func text(_ pointer: UnsafeMutablePointer<CChar>?) -> String { pointer.map { String(cString: $0) } ?? "" }
    provider = text(fabricAttributes.pointee.prov_name)
    fabric = text(fabricAttributes.pointee.name)
    domain = String(cString: domainName)
    device = Self.device(ofDomain: domain)
    if let source = info.pointee.src_addr {
      sourceAddress = [UInt8](UnsafeRawBufferPointer(start: source, count: info.pointee.src_addrlen))
    } else {
      sourceAddress = []
    }
    transmitDepth = transmit.pointee.size
    // Software providers say "no limit" by SIZE_MAX or just below it, which arrives here as a negative number.
    maximumMessageSize = Int(clamping: UInt(bitPattern: endpoint.pointee.max_msg_size))
    injectSize = transmit.pointee.inject_size
    let mode = domainAttributes.pointee.mr_mode
    usesVirtualAddresses = mode & FI_MR_VIRT_ADDR != 0 || mode == Self.basicRegistration
    choosesKeys = mode & FI_MR_PROV_KEY != 0 || mode == Self.basicRegistration
    reachesGPUMemory = info.pointee.caps & FI_HMEM != 0
    let isManual = domainAttributes.pointee.data_progress == FI_PROGRESS_MANUAL
    needsProgress = isManual && (provider != "efa" || library.version < (1, 18))
    countsRemoteAccess = needsProgress && info.pointee.caps & UInt64(FI_RMA_EVENT) != 0
    deliversBeforeCompletion = transmit.pointee.op_flags & FI_DELIVERY_COMPLETE != 0

    let nic = info.pointee.nic
    if let bus = nic?.pointee.bus_attr, bus.pointee.bus_type == FI_BUS_PCI {
      let pci = bus.pointee.attr.pci
      pciAddress =
        hexadecimal(UInt64(pci.domain_id), digits: 4) + ":" + hexadecimal(UInt64(pci.bus_id), digits: 2) + ":"
        + hexadecimal(UInt64(pci.device_id), digits: 2) + "." + String(pci.function_id)
    } else {
      pciAddress = nil
    }
    linkSpeed = nic?.pointee.link_attr.flatMap { $0.pointee.speed == 0 ? nil : UInt64($0.pointee.speed) }
  }

  deinit { library.functions.freeinfo(info) }

  /// Gives an endpoint of the shm provider a name of its own. By itself the provider calls it by the process's number,
  /// and one that was left behind by a killed process of the same number keeps it from opening.
  private static func nameUniquely(_ info: UnsafeMutablePointer<fi_info>) {
    let name = "fi_shm://\(getpid())-" + String(UInt64.random(in: .min ... .max), radix: 16)
    guard let copy = strdup(name) else { return }
    // fi_freeinfo frees it, as it would have freed the provider's.
    free(info.pointee.src_addr)
    info.pointee.src_addr = UnsafeMutableRawPointer(copy)
    info.pointee.src_addrlen = name.utf8.count + 1
  }

  /// `FI_MR_BASIC`, the mode of registration before API 1.5: virtual addresses and keys of the provider's choice.
  static let basicRegistration: Int32 = 1

  /// The EFA provider names the reliable-datagram domain of device `rdmap79s0` `rdmap79s0-rdm`.
  static func device(ofDomain domain: String) -> String {
    domain.hasSuffix("-rdm") ? String(domain.dropLast(4)) : domain
  }
}

/// `value` in lower-case hexadecimal with at least `digits` digits.
private func hexadecimal(_ value: UInt64, digits: Int) -> String {
  let text = String(value, radix: 16)
  return String(repeating: "0", count: max(0, digits - text.count)) + text
}
