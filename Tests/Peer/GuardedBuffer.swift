import Glibc

/// Memory between two pages that nobody may touch: whoever reaches past either end takes the process down.
struct GuardedBuffer: ~Copyable {
  let baseAddress: UnsafeMutableRawPointer
  let length: Int
  private let mapping: UnsafeMutableRawPointer
  private let mappedLength: Int

  /// - Parameter length: Rounded up to whole pages.
  init(length: Int) throws {
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    self.length = (length + page - 1) / page * page
    mappedLength = self.length + 2 * page
    let mapping = mmap(nil, mappedLength, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let mapping, mapping != MAP_FAILED,
      mprotect(mapping + page, self.length, PROT_READ | PROT_WRITE) == 0
    else { throw PeerError("no memory: error \(errno)") }
    self.mapping = mapping
    baseAddress = mapping + page
  }

  deinit { munmap(mapping, mappedLength) }
}
