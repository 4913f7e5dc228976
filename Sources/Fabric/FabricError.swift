internal import CFabric

/// A libfabric call that failed: which, with what code, in the provider's own words, and what to do about it.
public struct FabricError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The call, as libfabric's manual names it (`fi_mr_reg`).
  public let call: String
  /// The positive error number (`FI_ENODATA` is 61), 0 where there is none.
  public let code: Int32
  /// The library's or the provider's own text.
  public let text: String
  /// What to do next; may be empty.
  public let advice: String

  /// An error of `call`.
  public init(call: String, code: Int32, text: String, advice: String = "") {
    self.call = call
    self.code = code
    self.text = text
    self.advice = advice
  }

  /// All of it in one line.
  public var description: String {
    let number = code == 0 ? "" : " (\(code))"
    return advice.isEmpty ? "\(call): \(text)\(number)" : "\(call): \(text)\(number). \(advice)"
  }

  /// Whether the provider has nothing that fits the request.
  public var isNoData: Bool { code == FI_ENODATA }
}
