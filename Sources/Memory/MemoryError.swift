/// Why memory could not be had or planned for, and what to do about it.
public struct MemoryError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What kind of failure it is. Open: later versions may add codes, so a switch over it needs a default.
  public struct Code: RawRepresentable, Hashable, Sendable {
    /// The code's name, stable across versions.
    public let rawValue: String

    /// A code by its name.
    public init(rawValue: String) {
      self.rawValue = rawValue
    }

    /// A number given by the caller is out of its range: a length of zero, a range beyond the address space.
    public static let invalidArgument = Code(rawValue: "invalid-argument")
    /// A NIC would have to map more pages than it can.
    public static let pageBudgetExceeded = Code(rawValue: "page-budget-exceeded")
    /// A registration would fall into more regions than can be sensible.
    public static let tooManyRegions = Code(rawValue: "too-many-regions")
    /// The kernel gave no memory.
    public static let outOfMemory = Code(rawValue: "out-of-memory")
    /// The kernel refused a question about memory.
    public static let refused = Code(rawValue: "refused")
  }

  /// What kind of failure it is.
  public let code: Code
  /// What was wrong, with the numbers.
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
