internal import CLinux
internal import Glibc

/// Makes the kernel back memory with pages before it is registered, on several threads: registration itself would fault
/// them in one after the other.
public enum Prefault {
  /// The shortest chunk, in bytes, for which upstream touches the pages: 4 GiB.
  public static let minimumLength = 4 << 30

  /// Whether a chunk is worth touching first: host memory (`cpu…`) of at least `minimumLength` on a host with at least
  /// four processors.
  public static func isWorthwhile(location: String, length: Int, processors: Int) -> Bool {
    location.hasPrefix("cpu") && length >= minimumLength && threadCount(processors: processors) > 0
  }

  /// How many threads to touch with: none below four processors, 16 above 64, else one per processor up to 8.
  public static func threadCount(processors: Int) -> Int {
    if processors < 4 { return 0 }
    return processors > 64 ? 16 : min(processors, 8)
  }

  /// Makes every page of a range present and writable, the pages at both ends included. What the bytes say is kept, also
  /// while others write them.
  ///
  /// The kernel does it in one call per thread where it can (Linux 5.14 and later). Elsewhere one byte per page is read
  /// and written; that kills the process if the range is not writable.
  ///
  /// - Parameters:
  ///   - address: the first byte.
  ///   - length: bytes; nothing happens below 1.
  ///   - pageSize: bytes of its pages.
  ///   - threads: how many threads share the work, the caller among them; at least one does it.
  /// - Returns: whether all pages are present. False: the range is not mapped, not writable, or memory has run out.
  @discardableResult
  public static func touch(address: UnsafeMutableRawPointer, length: Int, pageSize: Int, threads: Int) -> Bool {
    run(address: address, length: length, pageSize: pageSize, threads: threads) { part in
      let page = PageSize.system
      // The call wants whole pages; the range's ends may lie inside theirs.
      let start = part.start & ~UInt(page - 1)
      let outcome = madvise(UnsafeMutableRawPointer(bitPattern: start), Int(part.end - start), populateWrite)
      if outcome == 0 { return true }
      return errno == EINVAL && touchBytes(part)
    }
  }

  /// `MADV_POPULATE_WRITE` of linux/mman.h 5.14, younger than some C libraries.
  private static let populateWrite: Int32 = 23

  /// Touches by reading and writing alone, as `touch` does on older kernels.
  static func touchBytes(address: UnsafeMutableRawPointer, length: Int, pageSize: Int, threads: Int) -> Bool {
    run(address: address, length: length, pageSize: pageSize, threads: threads) { touchBytes($0) }
  }

  /// What one thread touches. `start` is the range's start or a page boundary.
  private struct Part {
    var start: UInt
    var end: UInt
    var pageSize: UInt
    var work: @Sendable (Part) -> Bool
    var succeeded = false
  }

  private static func touchBytes(_ part: Part) -> Bool {
    var next = part.start
    while next < part.end {
      clinux_touch(UnsafeMutableRawPointer(bitPattern: next))
      let (boundary, overflow) = (next / part.pageSize * part.pageSize).addingReportingOverflow(part.pageSize)
      if overflow { return true }
      next = boundary
    }
    return true
  }

  private static func run(
    address: UnsafeMutableRawPointer, length: Int, pageSize: Int, threads: Int, work: @escaping @Sendable (Part) -> Bool
  ) -> Bool {
    let start = UInt(bitPattern: address)
    let (end, overflow) = start.addingReportingOverflow(UInt(max(0, length)))
    guard length > 0 else { return true }
    // More than half of the numbers is more than any address space, and would not fit the kernel's arguments.
    guard !overflow, length <= Int.max / 2, let pageSize = UInt(exactly: pageSize), pageSize > 0 else { return false }
    let first = start / pageSize
    let pages = (end - 1) / pageSize - first + 1
    // 1,024 is beyond any use; it bounds what a wrong number can ask for.
    let count = min(UInt(max(1, min(threads, 1024))), pages)
    let parts = UnsafeMutableBufferPointer<Part>.allocate(capacity: Int(count))
    for index in 0..<count {
      // The first `pages % count` parts take one page more.
      func boundary(_ index: UInt) -> UInt { (first + pages / count * index + min(index, pages % count)) * pageSize }
      let from = index == 0 ? start : boundary(index)
      let to = index == count - 1 ? end : boundary(index + 1)
      parts.initializeElement(at: Int(index), to: Part(start: from, end: to, pageSize: pageSize, work: work))
    }
    defer {
      parts.deinitialize()
      parts.deallocate()
    }
    runOnThreads(parts)
    return parts.allSatisfy(\.succeeded)
  }

  /// One thread per part but the first, which the caller does, as it does those that get no thread.
  private static func runOnThreads(_ parts: UnsafeMutableBufferPointer<Part>) {
    guard let base = parts.baseAddress else { return }
    var threads: [pthread_t] = []
    for index in parts.indices.dropFirst() {
      var thread = pthread_t()
      let outcome = pthread_create(
        &thread, nil,
        { argument in
          if let part = argument?.assumingMemoryBound(to: Part.self) {
            part.pointee.succeeded = part.pointee.work(part.pointee)
          }
          return nil
        }, base + index)
      if outcome == 0 {
        threads.append(thread)
      } else {
        base[index].succeeded = base[index].work(base[index])
      }
    }
    base.pointee.succeeded = base.pointee.work(base.pointee)
    for thread in threads { pthread_join(thread, nil) }
  }
}
