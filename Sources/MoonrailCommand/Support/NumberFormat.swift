internal import Glibc

extension Double {
  /// C's `%.<digits>f`.
  func fixed(_ digits: Int) -> String {
    withVaList([Int32(clamping: digits), self]) { arguments in
      var buffer = [CChar](repeating: 0, count: 512)
      let length = vsnprintf(&buffer, buffer.count, "%.*f", arguments)
      return String(decoding: buffer.prefix(max(0, Int(length))).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
  }
}

extension String {
  /// With spaces in front, up to `width` characters.
  func padded(left width: Int) -> String { String(repeating: " ", count: max(0, width - count)) + self }

  /// With spaces behind, up to `width` characters.
  func padded(right width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}

/// A time for people: `812 us`, `3.42 ms`, `1.250 s`.
func durationText(nanoseconds: UInt64) -> String {
  switch nanoseconds {
  case ..<1_000_000: return "\((Double(nanoseconds) / 1e3).fixed(1)) us"
  case ..<1_000_000_000: return "\((Double(nanoseconds) / 1e6).fixed(2)) ms"
  default: return "\((Double(nanoseconds) / 1e9).fixed(3)) s"
  }
}

/// A number of bytes for people, in the power of two that divides it: `64 KiB`, `4096000 B`.
func byteText(_ bytes: Int) -> String {
  let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")]
  for (size, name) in units where bytes >= size && bytes.isMultiple(of: size) { return "\(bytes / size) \(name)" }
  return "\(bytes) B"
}
