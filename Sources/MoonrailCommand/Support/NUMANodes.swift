internal import Topology

/// The NUMA nodes of this host, in order; `[0]` where the kernel does not tell.
func numaNodes() -> [Int] {
  let nodes = HostInventory().numaNodes
  return nodes.isEmpty ? [0] : nodes
}
