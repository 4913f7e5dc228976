/// Writes JSON compactly, or as jsoncpp's `StreamWriterBuilder` does in its default settings.
///
/// Foundation's encoder is not used for output because its pretty form is another one and its order of keys is its own.
struct JSONText {
  private(set) var text = ""
  private let styled: Bool
  private var depth = 0

  init(styled: Bool) {
    self.styled = styled
  }

  mutating func object(_ names: [String], value: (inout JSONText, String) -> Void) {
    list(names, open: "{", close: "}") { writer, name in
      writer.string(name)
      writer.text += writer.styled ? " : " : ":"
      value(&writer, name)
    }
  }

  /// jsoncpp breaks every array that is not empty over lines: its rule that keeps short ones on one line applies only
  /// when comments are switched off.
  mutating func array<Element>(_ elements: [Element], element: (inout JSONText, Element) -> Void) {
    // A container that is the value of a key starts on a line of its own; one inside an array is on one already.
    if styled, !elements.isEmpty, text.hasSuffix(" : ") { newLine() }
    list(elements, open: "[", close: "]", element: element)
  }

  mutating func string(_ string: String) {
    text += "\""
    for unit in string.utf16 {
      switch unit {
      case 0x22: text += "\\\""
      case 0x5c: text += "\\\\"
      case 0x08: text += "\\b"
      case 0x09: text += "\\t"
      case 0x0a: text += "\\n"
      case 0x0c: text += "\\f"
      case 0x0d: text += "\\r"
      case 0x20..<0x80: text.unicodeScalars.append(Unicode.Scalar(UInt8(truncatingIfNeeded: unit)))
      default:
        // jsoncpp escapes everything that is not ASCII, beyond the basic plane as a surrogate pair.
        let digits = String(unit, radix: 16)
        text += "\\u" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
      }
    }
    text += "\""
  }

  private mutating func list<Element>(
    _ elements: [Element], open: String, close: String, element: (inout JSONText, Element) -> Void
  ) {
    text += open
    guard !elements.isEmpty else {
      text += close
      return
    }
    depth += 1
    for (index, value) in elements.enumerated() {
      if index > 0 { text += "," }
      newLine()
      element(&self, value)
    }
    depth -= 1
    newLine()
    text += close
  }

  private mutating func newLine() {
    guard styled else { return }
    text += "\n" + String(repeating: "\t", count: depth)
  }
}
