/// A JSON value to be printed.
enum JSONText {
  case string(String)
  case integer(UInt64)
  /// Printed with this many digits after the point; what is not finite is printed as null.
  case number(Double, digits: Int)
  case boolean(Bool)
  case array([JSONText])
  /// Keys in the order of printing.
  case object([(String, JSONText)])

  /// The value in one line.
  var text: String {
    switch self {
    case .string(let value): return Self.quoted(value)
    case .integer(let value): return String(value)
    case .number(let value, let digits): return value.isFinite ? value.fixed(digits) : "null"
    case .boolean(let value): return value ? "true" : "false"
    case .array(let values): return "[" + values.map(\.text).joined(separator: ",") + "]"
    case .object(let members):
      return "{" + members.map { "\(Self.quoted($0.0)):\($0.1.text)" }.joined(separator: ",") + "}"
    }
  }

  private static func quoted(_ value: String) -> String {
    var result = "\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\t": result += "\\t"
      case "\r": result += "\\r"
      case _ where scalar.value < 0x20:
        let digits = String(scalar.value, radix: 16)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}
