internal import FoundationEssentials

/// What the kernel says of this host's NUMA nodes, GPUs and NICs.
///
/// Read once, when made. Nothing here fails: what the kernel does not show (in a container without `/sys`, say) is
/// absent.
public struct HostInventory: Sendable {
  /// A GPU.
  public struct GPU: Hashable, Sendable {
    /// Its place among the GPUs of the host in order of PCI address. CUDA numbers them alike with
    /// `CUDA_DEVICE_ORDER=PCI_BUS_ID` and all of them visible; on hosts with GPUs of one kind, also without.
    ///
    /// ``HostInventory/numberingGPUs(as:)`` takes CUDA's own numbers.
    public let index: Int
    /// Where it sits on the PCI bus, as `0000:10:1c.0`.
    public let pciAddress: String
    /// The NUMA node that it is attached to; nil if unknown.
    public let numaNode: Int?

    /// The location name of its memory: `cuda:<index>`.
    public var location: String { "cuda:\(index)" }
  }

  /// The numbers of the NUMA nodes in ascending order; empty if the kernel shows none.
  public let numaNodes: [Int]
  /// The NVIDIA GPUs (PCI vendor 0x10de, class 0x0300 or 0x0302) in order of PCI address.
  public private(set) var gpus: [GPU]
  /// The devices under `class/infiniband`, EFA's among them, sorted by name.
  public let infinibandDevices: [NetworkDevice]
  /// Whether there is an NVIDIA GPU, or its driver's device node.
  public let hasNVIDIAGPU: Bool
  /// Whether there is a GPU, or a driver's device node for one (`nvidiactl`, `kfd`).
  public let hasGPU: Bool

  private let sysfs: String

  /// Reads the host.
  ///
  /// - Parameters:
  ///   - sysfs: where sysfs is mounted.
  ///   - dev: where the device nodes are.
  public init(sysfs: String = "/sys", dev: String = "/dev") {
    self.sysfs = sysfs
    numaNodes = Self.names(in: "\(sysfs)/devices/system/node").compactMap { name in
      name.hasPrefix("node") ? Int(name.dropFirst(4)) : nil
    }.sorted()

    let pci = "\(sysfs)/bus/pci/devices"
    let addresses = Self.names(in: pci).filter { Self.isNVIDIAGPU("\(pci)/\($0)") }
    gpus = addresses.enumerated().map { index, address in
      GPU(index: index, pciAddress: address, numaNode: Self.numaNode(ofPCI: address, sysfs: sysfs))
    }
    hasNVIDIAGPU = !gpus.isEmpty || FileManager.default.fileExists(atPath: "\(dev)/nvidiactl")
    hasGPU = hasNVIDIAGPU || FileManager.default.fileExists(atPath: "\(dev)/kfd")

    infinibandDevices = Self.names(in: "\(sysfs)/class/infiniband").map { name in
      let address = Self.pciAddress(ofDevice: "\(sysfs)/class/infiniband/\(name)/device")
      return NetworkDevice(
        name: name, pciAddress: address, numaNode: address.flatMap { Self.numaNode(ofPCI: $0, sysfs: sysfs) },
        speed: Self.rate(FileText.line(of: "\(sysfs)/class/infiniband/\(name)/ports/1/rate")))
    }
  }

  /// The same host with its GPUs as CUDA numbers them in this process, which `CUDA_VISIBLE_DEVICES` decides.
  ///
  /// - Parameter pciAddresses: The GPUs' PCI addresses in CUDA's order, as `0000:10:1c.0`.
  public func numberingGPUs(as pciAddresses: [String]) -> HostInventory {
    var inventory = self
    inventory.gpus = pciAddresses.enumerated().map { index, address in
      GPU(index: index, pciAddress: address, numaNode: numaNode(ofPCI: address))
    }
    return inventory
  }

  /// The NUMA node of a PCI device; nil if the device is unknown or the kernel does not know its node (−1).
  public func numaNode(ofPCI address: String) -> Int? {
    Self.numaNode(ofPCI: address, sysfs: sysfs)
  }

  /// How far apart two PCI devices are: the number of `/` that follow the common beginning of their paths in sysfs, as
  /// upstream counts it. 0 is the same device or one on the same bus; each bridge on the way adds one.
  ///
  /// Nil if either device is unknown.
  public func pciDistance(_ a: String, _ b: String) -> Int? {
    guard let a = Self.realPath(ofPCI: a, sysfs: sysfs)?.utf8, let b = Self.realPath(ofPCI: b, sysfs: sysfs)?.utf8
    else { return nil }
    let common = zip(a, b).prefix { $0 == $1 }.count
    return (Array(a.dropFirst(common)) + Array(b.dropFirst(common))).count { $0 == UInt8(ascii: "/") }
  }

  /// The names in a directory, sorted; empty if it cannot be read.
  private static func names(in directory: String) -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: directory)) ?? []).sorted()
  }

  private static func isNVIDIAGPU(_ device: String) -> Bool {
    guard FileText.line(of: "\(device)/vendor") == "0x10de", let kind = FileText.line(of: "\(device)/class") else {
      return false
    }
    // Base class 3 is display: 00 a VGA controller, 02 a 3D controller, which is what data centre GPUs are.
    return kind.hasPrefix("0x0300") || kind.hasPrefix("0x0302")
  }

  private static func numaNode(ofPCI address: String, sysfs: String) -> Int? {
    guard isPCIAddress(address) else { return nil }
    let node = FileText.line(of: "\(sysfs)/bus/pci/devices/\(address.lowercased())/numa_node").flatMap { Int($0) }
    return node.flatMap { $0 >= 0 ? $0 : nil }
  }

  private static func realPath(ofPCI address: String, sysfs: String) -> String? {
    isPCIAddress(address) ? FileText.realPath("\(sysfs)/bus/pci/devices/\(address.lowercased())") : nil
  }

  private static func pciAddress(ofDevice link: String) -> String? {
    guard let name = FileText.realPath(link)?.split(separator: "/").last, isPCIAddress(String(name)) else { return nil }
    return String(name)
  }

  /// Whether the text has the form `dddd:bb:dd.f` in hexadecimal; the domain may have more digits.
  private static func isPCIAddress(_ text: String) -> Bool {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 3, parts[0].count >= 4, parts[1].count == 2, parts[2].count == 4 else { return false }
    let slot = parts[2].split(separator: ".", omittingEmptySubsequences: false)
    return slot.count == 2 && slot[0].count == 2 && (parts[0...1] + slot).allSatisfy { $0.allSatisfy(\.isHexDigit) }
  }

  /// Bits per second from the kernel's text for a port's rate, such as `100 Gb/sec (4X EDR)`.
  private static func rate(_ text: String?) -> UInt64? {
    guard let words = text?.split(separator: " "), words.count >= 2, words[1] == "Gb/sec",
      let gigabits = Double(words[0])
    else { return nil }
    return UInt64(exactly: (gigabits * 1e9).rounded())
  }
}
