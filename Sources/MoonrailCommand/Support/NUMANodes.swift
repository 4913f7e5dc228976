internal import Glibc

/// The NUMA nodes of this host, in order; `[0]` where the kernel does not tell.
func numaNodes(directory: String = "/sys/devices/system/node") -> [Int] {
  guard let stream = opendir(directory) else { return [0] }
  defer { closedir(stream) }
  var nodes: [Int] = []
  while let entry = readdir(stream) {
    let name = withUnsafePointer(to: &entry.pointee.d_name) {
      $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
    }
    if name.hasPrefix("node"), let number = Int(name.dropFirst(4)), number >= 0 { nodes.append(number) }
  }
  return nodes.isEmpty ? [0] : nodes.sorted()
}
