/// Why a topology could not be made, and what to do about it.
public struct TopologyError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What kind of failure it is. Open: later versions may add codes, so a switch over it needs a default.
  public struct Code: RawRepresentable, Hashable, Sendable {
    /// The code's name, stable across versions.
    public let rawValue: String

    /// A code by its name.
    public init(rawValue: String) {
      self.rawValue = rawValue
    }

    /// The text is not JSON.
    public static let notJSON = Code(rawValue: "not-json")
    /// The text is JSON of another shape than a topology's. Upstream's number for it is −103 (ERR_MALFORMED_JSON).
    public static let wrongShape = Code(rawValue: "wrong-shape")
  }

  /// What kind of failure it is.
  public let code: Code
  /// What was found, and where.
  public let message: String
  /// What to do next.
  public let remedy: String

  /// An error of the given kind.
  public init(_ code: Code, _ message: String, remedy: String) {
    self.code = code
    self.message = message
    self.remedy = remedy
  }

  /// The message followed by the remedy.
  public var description: String { "\(message). \(remedy)." }
}
