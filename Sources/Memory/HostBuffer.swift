internal import CLinux
internal import Glibc

/// Memory of this process that begins on a page, zeroed, given back to the kernel with the value.
///
/// `@unchecked Sendable`: the owner moves between threads as a whole; who reads and writes the bytes when is the user's
/// concern, as with every buffer that a NIC also writes.
public struct HostBuffer: ~Copyable, @unchecked Sendable {
  /// The first byte; on a page boundary, on a 2 MiB boundary if huge pages were asked for.
  public let baseAddress: UnsafeMutableRawPointer
  /// Bytes, as asked for.
  public let length: Int
  /// The NUMA node that the kernel accepted as the pages' source; nil if none was asked for or the kernel refused (it
  /// has no such node, or a container lacks CAP_SYS_NICE). The memory is usable all the same, so tell and go on.
  public let boundNode: Int?

  private let mappedLength: Int
  /// The file behind the memory; -1 where there is none.
  private let file: Int32

  /// Whether other processes of this host can map the memory, once they are given its file.
  public var isShareable: Bool { file >= 0 }

  /// All of the bytes. Valid while the buffer lives.
  public var bytes: UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: baseAddress, count: length)
  }

  /// Maps memory. The kernel backs it page by page when it is touched.
  ///
  /// - Parameters:
  ///   - length: bytes, at least 1.
  ///   - numaNode: the node to take the pages from while it has memory; nil: the one of the thread that touches a page.
  ///   - hugePages: asks for transparent huge pages. A wish: without them in the kernel the pages are small, as they are of
  ///     shareable memory unless the host's `transparent_hugepage/shmem_enabled` says `advise` or more.
  ///   - isShareable: asks for memory that peers of this host can map (``ShareableMemory``). A wish as well. Such
  ///     memory is the same memory in a forked child, not a copy of it.
  ///
  /// Fails with `invalidArgument` or `outOfMemory`.
  public init(
    length: Int, numaNode: Int? = nil, hugePages: Bool = false, isShareable: Bool = false
  ) throws(MemoryError) {
    guard length > 0 else {
      throw MemoryError(
        .invalidArgument, "A buffer of \(length) bytes cannot be made", remedy: "Ask for at least one byte")
    }
    let mapping = try Self.map(
      length: length, alignment: hugePages ? Self.hugePageSize : PageSize.system, isShareable: isShareable)
    if hugePages {
      madvise(mapping.baseAddress, mapping.count, MADV_HUGEPAGE)
    }
    let node = numaNode.flatMap { node in
      UInt32(exactly: node).flatMap { clinux_prefer_node(mapping.baseAddress, mapping.count, $0) == 0 ? node : nil }
    }
    baseAddress = mapping.baseAddress
    mappedLength = mapping.count
    boundNode = node
    file = mapping.file
    self.length = length
    if file >= 0 { ShareableMemory.add(file, at: UInt(bitPattern: baseAddress), length: mappedLength) }
  }

  deinit {
    if file >= 0 {
      ShareableMemory.remove(at: UInt(bitPattern: baseAddress))
      close(file)
    }
    munmap(baseAddress, mappedLength)
  }

  /// 2 MiB: x86-64, and 64-bit ARM with pages of 4 KiB.
  private static let hugePageSize = 2 << 20

  /// Whole multiples of `alignment`, a multiple of the system's page size, at an address that is one too.
  private static func map(
    length: Int, alignment: Int, isShareable: Bool
  ) throws(MemoryError) -> (baseAddress: UnsafeMutableRawPointer, count: Int, file: Int32) {
    let slack = alignment - PageSize.system
    let remedy = "Ask for less, or raise the memory limit (ulimit -v, the container's limit, vm.overcommit_memory)"
    // Half of the numbers are far more than any address space, and leave room to round up.
    guard length <= Int.max / 2 else {
      throw MemoryError(.outOfMemory, "\(length) bytes are more than an address space holds", remedy: remedy)
    }
    func refusal() -> MemoryError {
      MemoryError(
        .outOfMemory, "The kernel does not give \(length) bytes: \(String(cString: strerror(errno)))", remedy: remedy)
    }
    let count = (length + alignment - 1) / alignment * alignment
    let kind = MAP_PRIVATE | MAP_ANONYMOUS
    guard let start = pages(nil, count + slack, PROT_READ | PROT_WRITE, kind, -1) else { throw refusal() }
    // What lies before and behind the aligned part goes back at once.
    let head = (alignment - Int(bitPattern: start) & (alignment - 1)) & (alignment - 1)
    if head > 0 { munmap(start, head) }
    if slack > head { munmap(start + head + count, slack - head) }
    let base = start + head
    guard isShareable, let file = ShareableMemory.makeFile(length: count) else { return (base, count, -1) }
    // In the place of the memory that is there, so that the file's first byte, where peers begin, is the buffer's.
    guard pages(base, count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file) != nil else {
      let failure = refusal()
      close(file)
      munmap(base, count)
      throw failure
    }
    return (base, count, file)
  }

  /// `mmap`; nil where it fails.
  private static func pages(
    _ address: UnsafeMutableRawPointer?, _ count: Int, _ protection: Int32, _ kind: Int32, _ file: Int32
  ) -> UnsafeMutableRawPointer? {
    let mapped = mmap(address, count, protection, kind, file, 0)
    return mapped == MAP_FAILED ? nil : mapped
  }
}
