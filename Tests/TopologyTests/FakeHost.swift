import Foundation
import Topology

/// A sysfs and a /dev in a temporary directory, removed with the object.
final class FakeHost {
  let root = FileManager.default.temporaryDirectory.appendingPathComponent("moonrail-\(UUID().uuidString)").path

  var sysfs: String { root + "/sys" }
  var dev: String { root + "/dev" }
  var inventory: HostInventory { HostInventory(sysfs: sysfs, dev: dev) }

  init(nodes: Int) throws {
    try directory(dev)
    try directory(sysfs)
    for node in 0..<nodes { try directory("\(sysfs)/devices/system/node/node\(node)") }
    if nodes > 0 { try directory("\(sysfs)/devices/system/node/power") }
  }

  deinit {
    try? FileManager.default.removeItem(atPath: root)
  }

  /// A PCI device below the given bridges, with the link that the kernel makes in bus/pci/devices.
  func pci(_ address: String, under bridges: String, node: Int, vendor: String, kind: String) throws {
    let home = "\(sysfs)/devices/\(bridges)/\(address)"
    try directory(home)
    try write("\(node)\n", to: "\(home)/numa_node")
    try write("\(vendor)\n", to: "\(home)/vendor")
    try write("\(kind)\n", to: "\(home)/class")
    try directory("\(sysfs)/bus/pci/devices")
    try link("\(sysfs)/bus/pci/devices/\(address)", to: home)
  }

  func gpu(_ address: String, under bridges: String, node: Int) throws {
    try pci(address, under: bridges, node: node, vendor: "0x10de", kind: "0x030200")
  }

  func nic(_ name: String, at address: String, under bridges: String, node: Int, rate: String) throws {
    try pci(address, under: bridges, node: node, vendor: "0x1d0f", kind: "0x020000")
    let home = "\(sysfs)/devices/\(bridges)/\(address)"
    try directory("\(home)/infiniband/\(name)/ports/1")
    try link("\(home)/infiniband/\(name)/device", to: home)
    try write(rate, to: "\(home)/infiniband/\(name)/ports/1/rate")
    try directory("\(sysfs)/class/infiniband")
    try link("\(sysfs)/class/infiniband/\(name)", to: "\(home)/infiniband/\(name)")
  }

  func write(_ text: String, to path: String) throws {
    try text.write(toFile: path, atomically: false, encoding: .utf8)
  }

  func directory(_ path: String) throws {
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  private func link(_ path: String, to target: String) throws {
    try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: target)
  }
}

extension FakeHost {
  /// Two sockets; on each a GPU behind a switch together with one NIC, and a second NIC behind another switch.
  static func twoSockets() throws -> FakeHost {
    let host = try FakeHost(nodes: 2)
    for socket in 0...1 {
      let root = "pci000\(socket):00/000\(socket):00:01.0"
      try host.gpu("000\(socket):12:00.0", under: "\(root)/000\(socket):11:00.0", node: socket)
      try host.nic(
        "rdmap\(socket)near", at: "000\(socket):13:00.0", under: "\(root)/000\(socket):11:01.0", node: socket,
        rate: "100 Gb/sec (4X EDR)\n")
      try host.nic(
        "rdmap\(socket)far", at: "000\(socket):23:00.0",
        under: "pci000\(socket):00/000\(socket):00:02.0/000\(socket):21:00.0", node: socket, rate: "unknown\n")
    }
    try host.pci("0000:00:1f.0", under: "pci0000:00", node: 0, vendor: "0x8086", kind: "0x030000")
    return host
  }
}
