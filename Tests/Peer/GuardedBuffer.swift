import Glibc

/// Memory between two pages that nobody may touch: whoever reaches past either end takes the process down.
struct GuardedBuffer: ~Copyable {
  let baseAddress: UnsafeMutableRawPointer
  let length: Int
  private let mapping: UnsafeMutableRawPointer
  private let mappedLength: Int

  /// - Parameters:
  ///   - length: Rounded up to whole pages.
  ///   - address: Where it has to be, at the beginning of a page; 0 for anywhere.
  init(length: Int, at address: UInt = 0) throws {
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    self.length = (length + page - 1) / page * page
    mappedLength = self.length + 2 * page
    // Fails where something is there already.
    let fixed: Int32 = address == 0 ? 0 : 0x10_0000
    let place = UnsafeMutableRawPointer(bitPattern: address == 0 ? 0 : address - UInt(page))
    let mapping = mmap(place, mappedLength, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | fixed, -1, 0)
    guard let mapping, mapping != MAP_FAILED,
      mprotect(mapping + page, self.length, PROT_READ | PROT_WRITE) == 0
    else { throw PeerError("no memory: error \(errno)") }
    self.mapping = mapping
    baseAddress = mapping + page
  }

  deinit { munmap(mapping, mappedLength) }
}
