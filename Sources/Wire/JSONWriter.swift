/// Writes JSON in the dialect that existing peers write: no spaces, everything outside ASCII escaped, one trailing
/// newline. The caller writes keys in byte order.
struct JSONWriter {
  private var bytes: [UInt8] = []
  /// Whether the next element of the innermost object or array follows another one.
  private var needsComma = false

  init(capacity: Int = 256) { bytes.reserveCapacity(capacity) }

  mutating func object(_ members: (inout JSONWriter) -> Void) { enclose("{", "}", members) }

  mutating func array(_ elements: (inout JSONWriter) -> Void) { enclose("[", "]", elements) }

  mutating func key(_ name: String) {
    separate()
    quoted(name)
    byte(":")
    needsComma = false
  }

  mutating func string(_ value: String) {
    separate()
    quoted(value)
  }

  mutating func integer(_ value: UInt64) {
    separate()
    digits(value)
  }

  mutating func integer(_ value: Int) {
    separate()
    if value < 0 { byte("-") }
    digits(UInt64(value.magnitude))
  }

  mutating func strings(_ values: [String]) {
    array { for value in values { $0.string(value) } }
  }

  mutating func integers(_ values: [UInt64]) {
    array { for value in values { $0.integer(value) } }
  }

  /// Elements that are text already, with commas between them; none if there is no text.
  mutating func elements(_ text: [UInt8]) {
    guard !text.isEmpty else { return }
    separate()
    bytes.append(contentsOf: text)
  }

  /// The text as it is, to become part of another.
  consuming func part() -> [UInt8] { bytes }

  /// The text with its trailing newline.
  consuming func finished() -> [UInt8] {
    byte("\n")
    return bytes
  }

  private mutating func enclose(_ open: Unicode.Scalar, _ close: Unicode.Scalar, _ body: (inout JSONWriter) -> Void) {
    separate()
    byte(open)
    needsComma = false
    body(&self)
    byte(close)
    needsComma = true
  }

  private mutating func separate() {
    if needsComma { byte(",") }
    needsComma = true
  }

  private mutating func byte(_ scalar: Unicode.Scalar) { bytes.append(UInt8(truncatingIfNeeded: scalar.value)) }

  private mutating func digits(_ value: UInt64) {
    let start = bytes.count
    var rest = value
    repeat {
      bytes.append(0x30 + UInt8(truncatingIfNeeded: rest % 10))
      rest /= 10
    } while rest > 0
    bytes[start...].reverse()
  }

  private mutating func quoted(_ text: String) {
    byte("\"")
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": escape("\"")
      case "\\": escape("\\")
      case "\u{08}": escape("b")
      case "\u{0C}": escape("f")
      case "\n": escape("n")
      case "\r": escape("r")
      case "\t": escape("t")
      default:
        if (0x20..<0x80).contains(scalar.value) {
          byte(scalar)
        } else {
          // One unit, or a surrogate pair above U+FFFF.
          for unit in scalar.utf16 { hexadecimal(unit) }
        }
      }
    }
    byte("\"")
  }

  private mutating func escape(_ scalar: Unicode.Scalar) {
    byte("\\")
    byte(scalar)
  }

  private mutating func hexadecimal(_ unit: UInt16) {
    escape("u")
    for shift in [UInt16(12), 8, 4, 0] { bytes.append(Hexadecimal.digit(UInt8(truncatingIfNeeded: unit >> shift))) }
  }
}

/// The order of keys in JSON text: by UTF-8 bytes, which Swift's own order of strings is not.
func inByteOrder(_ left: String, _ right: String) -> Bool { left.utf8.lexicographicallyPrecedes(right.utf8) }
