/// Why bytes from a peer, or text from a configuration, are not what the protocol asks for.
public struct WireError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What is wrong, for code that decides by it. Open: a later version may add codes, so a `switch` needs a default.
  public struct Code: RawRepresentable, Hashable, Sendable {
    /// The code's stable name, as it appears in logs.
    public let rawValue: String

    /// A code of the given name.
    public init(rawValue: String) { self.rawValue = rawValue }

    /// A frame that announces zero bytes.
    public static let emptyFrame = Code(rawValue: "empty-frame")
    /// A frame that announces more bytes than the limit.
    public static let oversizedFrame = Code(rawValue: "oversized-frame")
    /// A frame whose first byte is neither a message type nor the start of JSON.
    public static let unexpectedType = Code(rawValue: "unexpected-type")
    /// A body that is not JSON at all.
    public static let malformedJSON = Code(rawValue: "malformed-json")
    /// JSON of another type than the protocol says, or a number outside its range.
    public static let wrongType = Code(rawValue: "wrong-type")
    /// A field that must be there and must not be empty or zero.
    public static let missingValue = Code(rawValue: "missing-value")
    /// Text that should be hexadecimal and is not.
    public static let badHexadecimal = Code(rawValue: "bad-hexadecimal")
    /// Buffer keys that do not fit the list of devices.
    public static let keyCount = Code(rawValue: "key-count")
    /// A transport name that no version of the protocol knows.
    public static let unknownProtocol = Code(rawValue: "unknown-protocol")
  }

  /// What is wrong.
  public let code: Code
  /// What is wrong and where, for a person. Never holds raw bytes from the peer.
  public let message: String
  /// What to do about it.
  public let advice: String

  /// An error with its parts.
  public init(_ code: Code, _ message: String, advice: String) {
    self.code = code
    self.message = message
    self.advice = advice
  }

  /// The message and the advice in one line.
  public var description: String { "\(message) [\(code.rawValue)]: \(advice)" }
}
