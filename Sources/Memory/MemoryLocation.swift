internal import CLinux
internal import Glibc

/// Where memory is, in the topology's names.
public enum MemoryLocation {
  /// The name of memory whose place is not known.
  public static let anywhere = "*"

  /// `cpu:<node>` for host memory whose page has been touched, else `*`: for a page not yet backed by memory, and where
  /// the kernel refuses the question (a container without CAP_SYS_NICE).
  ///
  /// Only the page of `address` itself is asked for, as upstream does for a whole registration.
  public static func location(of address: UnsafeRawPointer) -> String {
    guard let node = try? numaNode(of: address) else { return anywhere }
    return "cpu:\(node)"
  }

  /// The NUMA node of the page at `address`; nil for a page that is not backed by memory yet.
  ///
  /// Fails with `refused` where the kernel does not answer at all.
  public static func numaNode(of address: UnsafeRawPointer) throws(MemoryError) -> Int? {
    // Larger pages answer for any address inside them, so the smallest page's alignment serves all.
    var page = UnsafeRawPointer(bitPattern: UInt(bitPattern: address) & ~4095)
    var status: Int32 = -1
    let failure = clinux_page_nodes(1, &page, &status)
    guard failure == 0 else {
      throw MemoryError(
        .refused, "move_pages does not say where memory is: \(String(cString: strerror(failure)))",
        remedy: "Give the container CAP_SYS_NICE, or name the memory's location when registering it")
    }
    return status >= 0 ? Int(status) : nil
  }
}
