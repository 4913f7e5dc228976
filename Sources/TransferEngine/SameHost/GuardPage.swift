internal import Glibc
internal import Synchronization

/// A page of this process at an address that no other process has anything at: whoever can read the token there, or
/// write to the place beside it, has the right process before it.
///
/// A process is named to the kernel by a number, and numbers come back. So every copy from or to a neighbour begins
/// with a word here, in the same system call: where the number is another process's by now, or the program has been
/// replaced, there is nothing at this address, the call ends with this word, and none of the others is touched. A
/// forked child does not have the page. Taking it away is also what ends all access at once.
final class GuardPage: @unchecked Sendable {
  static let tokenLength = 16

  let address: UInt
  let token: (UInt64, UInt64)
  private let base: UnsafeMutableRawPointer
  private let length: Int
  private let isRevoked = Atomic<Bool>(false)

  /// Where neighbours write, behind the token.
  static let writtenOffset: UInt = 64

  init() throws(TransferError) {
    let page = Int(sysconf(Int32(_SC_PAGESIZE)))
    guard let base = Self.map(page) else {
      throw TransferError(
        .memory, "No page for the guard of transfers within the host: \(StreamSocket.describe(errno)).")
    }
    guard madvise(base, page, 10 /* MADV_DONTFORK */) == 0 else {
      defer { munmap(base, page) }
      throw TransferError(.memory, "madvise(MADV_DONTFORK): \(StreamSocket.describe(errno)).")
    }
    var random = SystemRandomNumberGenerator()
    token = (random.next(), random.next())
    base.storeBytes(of: token.0, as: UInt64.self)
    base.storeBytes(of: token.1, toByteOffset: 8, as: UInt64.self)
    self.base = base
    length = page
    address = UInt(bitPattern: base)
  }

  deinit { revoke() }

  /// Takes the page away: from now on no copy of a neighbour begins.
  func revoke() {
    guard !isRevoked.exchange(true, ordering: .sequentiallyConsistent) else { return }
    munmap(base, length)
  }

  /// Where the kernel puts nothing by itself: 2^33 pages below the area of mappings. ThreadSanitizer has that for itself,
  /// and leaves less, below the program.
  #if THREAD_SANITIZER
    private static let places: Range<UInt> = 0x5500_0000_0000..<0x5550_0000_0000
  #else
    private static let places: Range<UInt> = 0x1000_0000_0000..<0x3000_0000_0000
  #endif

  /// At a random place.
  private static func map(_ page: Int) -> UnsafeMutableRawPointer? {
    for _ in 0..<64 {
      let place = UInt.random(in: places) & ~UInt(page - 1)
      let base = mmap(
        UnsafeMutableRawPointer(bitPattern: place), page, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS | 0x10_0000 /* MAP_FIXED_NOREPLACE */, -1, 0)
      if let base, base != MAP_FAILED {
        // An older kernel takes the address for a wish.
        if UInt(bitPattern: base) == place { return base }
        munmap(base, page)
      }
    }
    return nil
  }
}
