/// Why the metadata server could not be started.
public struct MetadataServerError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The kind of failure. Open: a later version may add codes, so a `switch` needs a default.
  public struct Code: Hashable, Sendable {
    /// The code's stable name, as it appears in logs.
    public let name: String

    /// A code of the given name.
    public init(name: String) { self.name = name }

    /// The address cannot be listened on.
    public static let cannotListen = Code(name: "cannot-listen")
    /// The file of the entries cannot be read or written.
    public static let fileUnusable = Code(name: "file-unusable")
    /// Another server has the file of the entries.
    public static let fileLocked = Code(name: "file-locked")
    /// The file of the entries is something else.
    public static let notAJournal = Code(name: "not-a-journal")
    /// A blocking call was made on an event loop.
    public static let onEventLoop = Code(name: "on-event-loop")
  }

  /// The kind of failure.
  public let code: Code
  /// What happened, with the address or the file.
  public let message: String
  /// What to do about it.
  public let advice: String

  /// An error with its parts.
  public init(_ code: Code, _ message: String, advice: String) {
    self.code = code
    self.message = message
    self.advice = advice
  }

  /// The message, the code and the advice in one line.
  public var description: String { "\(message) [\(code.name)]: \(advice)" }
}
