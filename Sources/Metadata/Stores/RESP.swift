/// A value of Redis's protocol, version 2.
enum RESPValue: Equatable, Sendable {
  case simple(String)
  case error(String)
  case integer(Int64)
  case bulk([UInt8])
  case null
  case array([RESPValue])

  /// A command as servers take it: an array of bulk strings.
  static func command(_ words: [[UInt8]]) -> [UInt8] {
    var bytes = Array("*\(words.count)\r\n".utf8)
    bytes.reserveCapacity(words.reduce(16) { $0 + $1.count + 16 })
    for word in words {
      bytes.append(contentsOf: "$\(word.count)\r\n".utf8)
      bytes.append(contentsOf: word)
      bytes.append(contentsOf: "\r\n".utf8)
    }
    return bytes
  }
}

/// Bytes that are not Redis's protocol, or more of them than is reasonable.
struct RESPError: Error, Equatable {
  let reason: String
}

/// Takes bytes in pieces of any size, gives values.
///
/// A value is read from its start whenever bytes have come, except that a long string is waited for: so what is read
/// twice is short.
struct RESPDecoder {
  static let maximumDepth = 8
  static let maximumCount = 1 << 16
  /// Of a line: a number, a status or an error.
  static let maximumLine = 1 << 16

  private let maximumLength: Int
  private var bytes: [UInt8] = []
  private var start = 0
  /// Bytes that have to be there before reading again can get further.
  private var needed = 0

  init(maximumLength: Int = StoreLimits.maximumValueLength) { self.maximumLength = maximumLength }

  mutating func push(_ new: some Collection<UInt8>) {
    if start > 0 {
      bytes.removeFirst(start)
      start = 0
    }
    bytes.append(contentsOf: new)
  }

  /// The next value, or nil until more bytes have come.
  mutating func next() throws(RESPError) -> RESPValue? {
    guard bytes.count - start >= max(1, needed) else { return nil }
    needed = 0
    var cursor = start
    guard let value = try value(&cursor, depth: 0) else {
      guard bytes.count - start <= 2 * maximumLength else { throw RESPError(reason: "the reply is too long") }
      return nil
    }
    start = cursor
    return value
  }

  private mutating func value(_ cursor: inout Int, depth: Int) throws(RESPError) -> RESPValue? {
    guard depth < Self.maximumDepth else { throw RESPError(reason: "lists within lists, too many") }
    guard cursor < bytes.count else { return nil }
    let type = bytes[cursor]
    // Checked before the line's end is looked for, which what speaks another protocol may never send.
    guard "+-:$*".utf8.contains(type) else { throw RESPError(reason: "the reply begins with byte \(type)") }
    guard let line = try line(after: cursor + 1) else { return nil }
    cursor = line.upperBound + 2
    let text = String(decoding: bytes[line], as: UTF8.self)
    switch type {
    case UInt8(ascii: "+"): return .simple(text)
    case UInt8(ascii: "-"): return .error(text)
    case UInt8(ascii: ":"): return .integer(try number(text, in: .min ... .max))
    case UInt8(ascii: "$"):
      let length = Int(try number(text, in: -1...Int64(maximumLength)))
      guard length >= 0 else { return .null }
      guard bytes.count - cursor >= length + 2 else {
        needed = max(needed, cursor - start + length + 2)
        return nil
      }
      let end = cursor + length
      guard bytes[end] == 0x0D, bytes[end + 1] == 0x0A else { throw RESPError(reason: "a string without its end") }
      defer { cursor = end + 2 }
      return .bulk(Array(bytes[cursor..<end]))
    default:
      let count = Int(try number(text, in: -1...Int64(Self.maximumCount)))
      guard count >= 0 else { return .null }
      var values: [RESPValue] = []
      for _ in 0..<count {
        guard let value = try value(&cursor, depth: depth + 1) else { return nil }
        values.append(value)
      }
      return .array(values)
    }
  }

  /// A line without its end; nil until that is there.
  private func line(after begin: Int) throws(RESPError) -> Range<Int>? {
    var index = begin
    while index < bytes.count {
      if bytes[index] == 0x0D {
        guard index + 1 < bytes.count else { return nil }
        guard bytes[index + 1] == 0x0A else { throw RESPError(reason: "a line with a bare carriage return") }
        return begin..<index
      }
      guard index - begin < Self.maximumLine else { throw RESPError(reason: "a line without an end") }
      index += 1
    }
    return nil
  }

  private func number(_ text: String, in range: ClosedRange<Int64>) throws(RESPError) -> Int64 {
    guard !text.hasPrefix("+"), let value = Int64(text), range.contains(value) else {
      throw RESPError(reason: "a number that is none, or out of its range")
    }
    return value
  }
}
