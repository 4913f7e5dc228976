/// Bytes as hexadecimal text, the form NIC addresses have in JSON.
public enum Hexadecimal {
  /// Lower-case hexadecimal, two digits a byte.
  public static func encode(_ bytes: [UInt8]) -> String {
    var text: [UInt8] = []
    text.reserveCapacity(bytes.count * 2)
    for byte in bytes {
      text.append(digit(byte >> 4))
      text.append(digit(byte))
    }
    return String(decoding: text, as: UTF8.self)
  }

  /// The bytes of hexadecimal text in either case. Throws `badHexadecimal` for an odd count or another character;
  /// `field` names the place in the message.
  public static func decode(_ text: String, field: String) throws(WireError) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.utf8.count / 2)
    var high: UInt8?
    for character in text.utf8 {
      guard let value = value(character) else {
        throw failure(field, "a character that is no hexadecimal digit")
      }
      if let first = high {
        bytes.append(first << 4 | value)
        high = nil
      } else {
        high = value
      }
    }
    guard high == nil else { throw failure(field, "an odd number of digits") }
    return bytes
  }

  static func digit(_ value: UInt8) -> UInt8 {
    let low = value & 0xF
    return low < 10 ? 0x30 + low : 0x61 + low - 10
  }

  private static func value(_ character: UInt8) -> UInt8? {
    switch character {
    case 0x30...0x39: character - 0x30
    case 0x41...0x46: character - 0x41 + 10
    case 0x61...0x66: character - 0x61 + 10
    default: nil
    }
  }

  private static func failure(_ field: String, _ what: String) -> WireError {
    WireError(
      .badHexadecimal, "\(field) has \(what)",
      advice: "the peer sent a damaged address; compare the versions of both sides")
  }
}
