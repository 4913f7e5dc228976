internal import Glibc

/// Whether there is memory at addresses that a caller names.
enum MappedMemory {
  /// Whether the process has all of it mapped. A copy to where there is nothing would end the process.
  ///
  /// One system call, which looks at mappings and not at pages.
  static func covers(_ address: UInt, length: Int) -> Bool {
    let page = UInt(bitPattern: sysconf(Int32(_SC_PAGESIZE)))
    let start = address & ~(page &- 1)
    let (end, wraps) = address.addingReportingOverflow(UInt(bitPattern: length))
    guard !wraps, length >= 0, let pointer = UnsafeMutableRawPointer(bitPattern: start) else { return false }
    return msync(pointer, Int(clamping: end &- start), MS_ASYNC) == 0
  }
}
