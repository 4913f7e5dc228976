extension Topology {
  /// Lays out the given NICs over the host's NUMA nodes and GPUs.
  ///
  /// - `cpu:<n>` for each NUMA node: preferred are the NICs on that node. If no NIC's node is known (a virtual machine
  ///   with one socket, a software provider), all are preferred everywhere; if only some are unknown, those are others.
  ///   A host that shows no nodes gets `cpu:0` with all NICs preferred.
  /// - `cuda:<i>` for each GPU: preferred are the NICs at the least PCI distance, among those on the GPU's NUMA node, or
  ///   among all if none is there. If no distance is known, all of that choice are preferred.
  ///
  /// The order within each list is the order of `devices`.
  public static func discover(devices: [NetworkDevice], inventory: HostInventory) -> Topology {
    let located = devices.map { device in
      var device = device
      device.numaNode = device.numaNode ?? device.pciAddress.flatMap { inventory.numaNode(ofPCI: $0) }
      return device
    }
    var entries: [String: Entry] = [:]
    let nowhere = located.allSatisfy { $0.numaNode == nil }
    for node in inventory.numaNodes {
      entries["cpu:\(node)"] = Entry(located) { nowhere || $0.numaNode == node }
    }
    if inventory.numaNodes.isEmpty {
      entries["cpu:0"] = Entry(located) { _ in true }
    }
    for gpu in inventory.gpus {
      let nearest = nearest(to: gpu, among: located, inventory: inventory)
      entries[gpu.location] = Entry(located) { nearest.contains($0.name) }
    }
    return Topology(entries: entries)
  }

  private static func nearest(
    to gpu: HostInventory.GPU, among devices: [NetworkDevice], inventory: HostInventory
  ) -> Set<String> {
    let sameNode = devices.filter { gpu.numaNode != nil && $0.numaNode == gpu.numaNode }
    let candidates = sameNode.isEmpty ? devices : sameNode
    let distances = candidates.map { device in
      device.pciAddress.flatMap { inventory.pciDistance($0, gpu.pciAddress) }
    }
    guard let least = distances.compactMap(\.self).min() else { return Set(candidates.map(\.name)) }
    return Set(zip(candidates, distances).filter { $1 == least }.map(\.0.name))
  }
}

extension Topology.Entry {
  fileprivate init(_ devices: [NetworkDevice], isPreferred: (NetworkDevice) -> Bool) {
    self.init(
      preferred: devices.filter(isPreferred).map(\.name),
      others: devices.filter { !isPreferred($0) }.map(\.name))
  }
}
