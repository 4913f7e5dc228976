internal import CCuda

/// A call into NVIDIA's driver that failed: which, with what code, in the driver's own words, and what to do about it.
public struct CUDAError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The call, as NVIDIA's manual names it (`cuMemAlloc`).
  public let call: String
  /// The driver's number (`CUresult`), 0 where there is none.
  public let code: Int32
  /// The driver's or the loader's own text.
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
}
