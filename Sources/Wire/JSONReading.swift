internal import FoundationEssentials

/// Reads one value from JSON text, with every failure as a `WireError` that names the place.
func readJSON<Value: Decodable>(_ type: Value.Type, from body: [UInt8], what: String) throws(WireError) -> Value {
  let root: Root<Value>
  do {
    root = try JSONDecoder().decode(Root<Value>.self, from: Data(body))
  } catch {
    throw malformed(what)
  }
  switch root.value {
  case .success(let value): return value
  case .failure(let error as WireError): throw error
  case .failure(let error as DecodingError): throw wireError(error, what: what)
  case .failure:
    // The decoder's own error for a number that does not fit; it does not say where.
    throw WireError(.wrongType, "\(what) has a number outside its range or a damaged text", advice: compareVersions)
  }
}

/// The outermost value. The decoder parses the whole text before it comes here, and reports bad syntax and bad values
/// by the same error: which of the two it is shows in where it is thrown.
private struct Root<Value: Decodable>: Decodable {
  let value: Result<Value, any Error>

  init(from decoder: any Decoder) throws {
    value = Result { try Value(from: decoder) }
  }
}

/// Whether a body is exactly `null`, which peers answer while they have nothing to say.
public func isNullJSON(_ body: [UInt8]) -> Bool {
  let isBlank = { (byte: UInt8) in byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D }
  let start = body.drop(while: isBlank)
  return start.starts(with: "null".utf8) && start.dropFirst(4).allSatisfy(isBlank)
}

/// Checks that a body into which nobody looks is JSON. Throws `malformedJSON`.
public func validateJSON(_ body: [UInt8]) throws(WireError) {
  struct Anything: Decodable {
    init(from decoder: any Decoder) throws {}
  }
  if isNullJSON(body) { return }
  _ = try readJSON(Anything.self, from: body, what: "the request")
}

/// A key of any name, for objects whose keys are data.
struct AnyKey: CodingKey {
  let stringValue: String
  var intValue: Int? { nil }
  init(stringValue: String) { self.stringValue = stringValue }
  init?(intValue: Int) { nil }
}

extension KeyedDecodingContainer {
  /// A string as existing peers read one: missing and null are empty, numbers and booleans become text.
  func tolerantString(_ key: Key) throws -> String {
    guard contains(key), try !decodeNil(forKey: key) else { return "" }
    if let text = try? decode(String.self, forKey: key) { return text }
    if let flag = try? decode(Bool.self, forKey: key) { return flag ? "true" : "false" }
    if let number = try? decode(UInt64.self, forKey: key) { return String(number) }
    if let number = try? decode(Int64.self, forKey: key) { return String(number) }
    if let number = try? decode(Double.self, forKey: key) { return String(number) }
    throw wrongType(key, "a string")
  }

  /// A list of unsigned numbers as existing peers read one: missing, null and scalars are empty.
  func tolerantNumbers(_ key: Key) throws -> [UInt32] {
    guard contains(key), try !decodeNil(forKey: key) else { return [] }
    let list = try? nestedUnkeyedContainer(forKey: key)
    // A long list takes long to read, and this runs on event loops; no NIC has that many queue pairs to a peer.
    if let count = list?.count, count <= 4096, let numbers = try? decode([UInt32].self, forKey: key) { return numbers }
    let isObject = (try? nestedContainer(keyedBy: AnyKey.self, forKey: key)) != nil
    if list != nil || isObject { throw wrongType(key, "a list of at most 4096 unsigned 32-bit numbers") }
    return []
  }

  private func wrongType(_ key: Key, _ expected: String) -> WireError {
    WireError(.wrongType, "\(key.stringValue) is not \(expected)", advice: compareVersions)
  }
}

private let compareVersions = "the peer does not follow the protocol; compare the versions of both sides"

private func malformed(_ what: String) -> WireError {
  WireError(
    .malformedJSON, "\(what) is not JSON",
    advice: "the message was damaged or cut on the way, or the peer speaks another protocol")
}

private func wireError(_ error: DecodingError, what: String) -> WireError {
  switch error {
  case .typeMismatch(_, let context), .valueNotFound(_, let context):
    return WireError(
      .wrongType, "\(what): \(place(context.codingPath)) has the wrong JSON type", advice: compareVersions)
  case .keyNotFound(let key, let context):
    return WireError(
      .missingValue, "\(what): \(place(context.codingPath + [key])) is missing", advice: compareVersions)
  case .dataCorrupted(let context):
    return WireError(
      .wrongType, "\(what): \(place(context.codingPath)) is outside its range or damaged", advice: compareVersions)
  @unknown default:
    return WireError(.wrongType, "\(what) cannot be read", advice: compareVersions)
  }
}

/// A path in the message. Keys of open objects are the peer's own text: cut, and only plain characters.
private func place(_ path: [any CodingKey]) -> String {
  guard !path.isEmpty else { return "the value" }
  let parts = path.prefix(8).map { key -> String in
    if let index = key.intValue { return "[\(index)]" }
    var text = String.UnicodeScalarView()
    text.append(contentsOf: key.stringValue.unicodeScalars.prefix(64).filter { (0x20..<0x7F).contains($0.value) })
    return String(text)
  }
  return parts.joined(separator: ".")
}
