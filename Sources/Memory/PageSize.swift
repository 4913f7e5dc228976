internal import Glibc

/// The size of the pages that memory is made of.
public enum PageSize {
  /// The size in bytes of the processor's smallest page, as `sysconf` says it.
  public static var system: Int {
    let size = sysconf(Int32(_SC_PAGESIZE))
    return size > 0 ? size : 4096
  }

  /// The size in bytes of the pages of the mapping that contains `address`: `KernelPageSize` of `smaps`, which shows
  /// hugetlbfs pages where `sysconf` does not. The system's page size if no mapping contains the address or the file
  /// cannot be read.
  ///
  /// The kernel makes the file's text mapping by mapping while it is read, so reading stops at the one looked for.
  ///
  /// - Parameters:
  ///   - address: an address in this process.
  ///   - smaps: the file to read.
  public static func kernelPageSize(of address: UnsafeRawPointer, smaps: String = "/proc/self/smaps") -> Int {
    guard let file = fopen(smaps, "re") else { return system }
    defer { fclose(file) }
    var scan = MappingScan(address: UInt(bitPattern: address))
    var line: UnsafeMutablePointer<CChar>?
    var capacity = 0
    defer { free(line) }
    while true {
      let count = getline(&line, &capacity, file)
      guard count > 0, let line else { return system }
      let bytes = UnsafeRawBufferPointer(start: line, count: count)
      if let size = scan.size(in: bytes) { return size }
    }
  }
}

/// Looks through the lines of `smaps`: a line `<start>-<end> …` in hexadecimal opens a mapping, lines `<name>: <value>`
/// describe it.
private struct MappingScan {
  let address: UInt
  var isInside = false

  init(address: UInt) {
    self.address = address
  }

  mutating func size(in line: UnsafeRawBufferPointer) -> Int? {
    if let range = Self.range(line) {
      isInside = range.start <= address && address < range.end
      return nil
    }
    let name = "KernelPageSize:"
    guard isInside, line.starts(with: name.utf8) else { return nil }
    let digits = line.dropFirst(name.utf8.count).drop { $0 == 0x20 || $0 == 0x09 }.prefix { 0x30...0x39 ~= $0 }
    guard let kibibytes = Int(String(decoding: digits, as: UTF8.self)), 1...Int.max >> 10 ~= kibibytes else {
      return nil
    }
    return kibibytes << 10
  }

  private static func range(_ line: UnsafeRawBufferPointer) -> (start: UInt, end: UInt)? {
    let parts = line.prefix { $0 != 0x20 }.split(separator: UInt8(ascii: "-"), omittingEmptySubsequences: false)
    guard parts.count == 2, let start = UInt(String(decoding: parts[0], as: UTF8.self), radix: 16),
      let end = UInt(String(decoding: parts[1], as: UTF8.self), radix: 16)
    else { return nil }
    return (start, end)
  }
}
