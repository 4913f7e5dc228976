import Glibc

/// The kernel's flags (`VmFlags` in `smaps`) of the mapping that `address` is in; none where there is none.
///
/// Read line by line: the file's text is made while it is read, and its length is not known before.
public func mappingFlags(of address: UInt) -> [String] {
  guard let file = fopen("/proc/self/smaps", "r") else { return [] }
  defer { fclose(file) }
  var line = [CChar](repeating: 0, count: 4096)
  var isHere = false
  while fgets(&line, Int32(line.count), file) != nil {
    let text = String(decoding: line.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    let bounds = text.prefix { $0 != " " }.split(separator: "-").compactMap { UInt($0, radix: 16) }
    if bounds.count == 2 { isHere = bounds[0] <= address && address < bounds[1] }
    if isHere, text.hasPrefix("VmFlags:") { return text.split(separator: " ").dropFirst().map(String.init) }
  }
  return []
}
