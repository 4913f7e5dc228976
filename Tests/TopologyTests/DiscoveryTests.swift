import Testing
import Topology

@Suite("Discovery puts each NIC beside the memory it is near")
struct DiscoveryTests {
  @Test func twoSocketsWithGPUsBehindSwitches() throws {
    let host = try FakeHost.twoSockets()
    let inventory = host.inventory
    #expect(inventory.numaNodes == [0, 1])
    #expect(inventory.gpus.map(\.pciAddress) == ["0000:12:00.0", "0001:12:00.0"], "Intel's display is no GPU of ours")
    #expect(inventory.gpus.map(\.numaNode) == [0, 1])
    #expect(inventory.hasGPU)
    #expect(
      inventory.infinibandDevices == [
        NetworkDevice(name: "rdmap0far", pciAddress: "0000:23:00.0", numaNode: 0),
        NetworkDevice(name: "rdmap0near", pciAddress: "0000:13:00.0", numaNode: 0, speed: 100_000_000_000),
        NetworkDevice(name: "rdmap1far", pciAddress: "0001:23:00.0", numaNode: 1),
        NetworkDevice(name: "rdmap1near", pciAddress: "0001:13:00.0", numaNode: 1, speed: 100_000_000_000),
      ])
    #expect(
      Topology.discover(devices: inventory.infinibandDevices, inventory: inventory).entries == [
        "cpu:0": .init(preferred: ["rdmap0far", "rdmap0near"], others: ["rdmap1far", "rdmap1near"]),
        "cpu:1": .init(preferred: ["rdmap1far", "rdmap1near"], others: ["rdmap0far", "rdmap0near"]),
        "cuda:0": .init(preferred: ["rdmap0near"], others: ["rdmap0far", "rdmap1far", "rdmap1near"]),
        "cuda:1": .init(preferred: ["rdmap1near"], others: ["rdmap0far", "rdmap0near", "rdmap1far"]),
      ])
  }

  @Test func gpusAsCUDANumbersThem() throws {
    let host = try FakeHost.twoSockets()
    // As with CUDA_VISIBLE_DEVICES=1,0; and with a GPU that the kernel does not show.
    let inventory = host.inventory.numberingGPUs(as: ["0001:12:00.0", "0000:12:00.0", "0000:99:00.0"])
    #expect(inventory.gpus.map(\.numaNode) == [1, 0, nil])
    let topology = Topology.discover(devices: inventory.infinibandDevices, inventory: inventory)
    #expect(topology.entries["cuda:0"]?.preferred == ["rdmap1near"])
    #expect(topology.entries["cuda:1"]?.preferred == ["rdmap0near"])
    #expect(topology.entries["cuda:2"]?.preferred == ["rdmap0far", "rdmap0near", "rdmap1far", "rdmap1near"])
  }

  @Test func distanceCountsTheBridges() throws {
    let host = try FakeHost.twoSockets()
    let inventory = host.inventory
    #expect(inventory.pciDistance("0000:12:00.0", "0000:12:00.0") == 0)
    #expect(inventory.pciDistance("0000:12:00.0", "0000:13:00.0") == 2)
    #expect(inventory.pciDistance("0000:12:00.0", "0000:23:00.0") == 4)
    #expect(inventory.pciDistance("0000:12:00.0", "0001:12:00.0") == 6)
    #expect(inventory.pciDistance("0000:12:00.0", "0000:99:00.0") == nil)
    #expect(inventory.pciDistance("0000:12:00.0", "") == nil)
    #expect(inventory.pciDistance("..", "0000:12:00.0") == nil)
  }

  @Test func theNodeIsLookedUpByPCIAddress() throws {
    let host = try FakeHost.twoSockets()
    let topology = Topology.discover(
      devices: [
        NetworkDevice(name: "x", pciAddress: "0001:13:00.0"), NetworkDevice(name: "y"),
        NetworkDevice(name: "z", numaNode: 0),
      ], inventory: host.inventory)
    #expect(topology.entries["cpu:0"] == .init(preferred: ["z"], others: ["x", "y"]), "an unknown node is another")
    #expect(topology.entries["cpu:1"] == .init(preferred: ["x"], others: ["y", "z"]))
    #expect(topology.entries["cuda:0"] == .init(preferred: ["z"], others: ["x", "y"]), "no distance: the node decides")
  }

  @Test func unknownNodesOfAVirtualMachine() throws {
    let host = try FakeHost(nodes: 1)
    try host.nic("efa_0", at: "0000:00:06.0", under: "pci0000:00", node: -1, rate: "")
    try host.nic("efa_1", at: "0000:00:07.0", under: "pci0000:00", node: -1, rate: "")
    try host.gpu("0000:00:1e.0", under: "pci0000:00", node: -1)
    let inventory = host.inventory
    #expect(inventory.numaNode(ofPCI: "0000:00:06.0") == nil)
    let topology = Topology.discover(devices: inventory.infinibandDevices, inventory: inventory)
    #expect(topology.entries["cpu:0"] == .init(preferred: ["efa_0", "efa_1"], others: []))
    #expect(topology.entries["cuda:0"] == .init(preferred: ["efa_0", "efa_1"], others: []))
  }

  @Test func aGPUWithoutANICOnItsNodeTakesTheNearestOfAll() throws {
    let host = try FakeHost(nodes: 2)
    try host.gpu("0000:12:00.0", under: "pci0000:00/0000:00:01.0", node: 1)
    try host.nic("near", at: "0000:13:00.0", under: "pci0000:00/0000:00:01.0", node: 0, rate: "")
    try host.nic("far", at: "0000:23:00.0", under: "pci0000:00/0000:00:02.0/0000:22:00.0", node: 0, rate: "")
    let inventory = host.inventory
    let topology = Topology.discover(devices: inventory.infinibandDevices, inventory: inventory)
    #expect(topology.entries["cuda:0"] == .init(preferred: ["near"], others: ["far"]))
    #expect(topology.entries["cpu:1"] == .init(preferred: [], others: ["far", "near"]))
  }

  @Test func aHostThatShowsNoNodes() throws {
    let host = try FakeHost(nodes: 0)
    let inventory = host.inventory
    #expect(inventory.numaNodes.isEmpty)
    #expect(inventory.infinibandDevices.isEmpty)
    #expect(!inventory.hasGPU)
    let topology = Topology.discover(
      devices: [NetworkDevice(name: "eth0"), NetworkDevice(name: "lo", numaNode: 3)], inventory: inventory)
    #expect(topology.entries == ["cpu:0": .init(preferred: ["eth0", "lo"], others: [])])
    #expect(Topology.discover(devices: [], inventory: inventory).json(styled: false) == #"{"cpu:0":[[],[]]}"#)
  }

  @Test(arguments: ["nvidiactl", "kfd"]) func aDriverWithoutSysfsIsAGPUToo(node: String) throws {
    let host = try FakeHost(nodes: 1)
    try host.write("", to: "\(host.dev)/\(node)")
    #expect(host.inventory.hasGPU)
  }
}
