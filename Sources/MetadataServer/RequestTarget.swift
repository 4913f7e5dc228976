/// What a request line asks for.
struct RequestTarget: Equatable {
  /// The path with its percent-encoding undone.
  let path: String
  /// The parameter `key` of the query without the white space around it; empty when there is none.
  let key: String

  /// Reads the target as it stands in the request line. Every text has a reading.
  init(_ target: String) {
    var bytes = Array(target.utf8)[...]
    // Proxies are sent the whole address.
    if bytes.first != UInt8(ascii: "/"), let scheme = bytes.firstRange(of: "://".utf8) {
      bytes = bytes[scheme.upperBound...].drop { $0 != UInt8(ascii: "/") }
    }
    let parts = bytes.split(separator: UInt8(ascii: "?"), maxSplits: 1, omittingEmptySubsequences: false)
    path = Self.decode(parts[0], plusIsSpace: false)
    key = Self.trimmed(parts.count > 1 ? Self.key(in: parts[1]) : "")
  }

  private static func key(in query: ArraySlice<UInt8>) -> String {
    for pair in query.split(separator: UInt8(ascii: "&")) {
      let sides = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
      guard decode(sides[0], plusIsSpace: true) == "key" else { continue }
      return sides.count > 1 ? decode(sides[1], plusIsSpace: true) : ""
    }
    return ""
  }

  /// Undoes percent-encoding. What is not a percent-encoded byte stays; bytes that are not UTF-8 become U+FFFD.
  private static func decode(_ text: ArraySlice<UInt8>, plusIsSpace: Bool) -> String {
    var result: [UInt8] = []
    result.reserveCapacity(text.count)
    var rest = text
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "%"), let high = digit(rest.first), let low = digit(rest.dropFirst().first) {
        result.append(high << 4 | low)
        rest = rest.dropFirst(2)
      } else {
        result.append(plusIsSpace && byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
      }
    }
    return String(decoding: result, as: UTF8.self)
  }

  private static func digit(_ byte: UInt8?) -> UInt8? {
    switch byte {
    case .some(let byte) where byte >= 0x30 && byte <= 0x39: return byte - 0x30
    case .some(let byte) where byte >= 0x41 && byte <= 0x46: return byte - 0x41 + 10
    case .some(let byte) where byte >= 0x61 && byte <= 0x66: return byte - 0x61 + 10
    default: return nil
    }
  }

  /// What upstream's server takes for white space.
  private static func trimmed(_ text: String) -> String {
    let isSpace = { (scalar: Unicode.Scalar) in
      scalar.properties.isWhitespace || (0x1C...0x1F).contains(scalar.value)
    }
    let scalars = text.unicodeScalars.drop(while: isSpace)
    guard let last = scalars.lastIndex(where: { !isSpace($0) }) else { return "" }
    return String(scalars[...last])
  }
}
