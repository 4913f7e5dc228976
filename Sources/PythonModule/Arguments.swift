internal import CPython

/// A function of CPython's calling convention for positional arguments and keywords.
typealias FastFunction =
  @convention(c) (
    PythonObject?, UnsafePointer<PythonObject?>?, Int, PythonObject?
  ) -> PythonObject?

/// The parameters of a method.
struct Parameters: Sendable {
  let method: StaticString
  /// In their order. One that cannot be given by keyword has an empty name.
  let names: [StaticString]
  /// How many must be given.
  let required: Int

  init(_ method: StaticString, _ names: [StaticString], required: Int? = nil) {
    self.method = method
    self.names = names
    self.required = required ?? names.count
  }

  /// For parameters without names.
  init(_ method: StaticString, count: Int) { self.init(method, Array(repeating: "", count: count)) }

  /// The most that a method has.
  private static let capacity = 8

  /// Calls `body` with one argument per parameter.
  func bind(
    _ arguments: UnsafePointer<PythonObject?>?, _ count: Int, _ keywords: PythonObject?,
    _ body: (Arguments) throws(PythonException) -> PythonObject?
  ) -> PythonObject? {
    if keywords == nil, count == names.count, let arguments {
      return answer { () throws(PythonException) in try body(Arguments(values: arguments)) }
    }
    return withUnsafeTemporaryAllocation(of: PythonObject?.self, capacity: Self.capacity) { values in
      values.initialize(repeating: nil)
      return answer { () throws(PythonException) in
        guard let base = values.baseAddress else { throw PythonException() }
        try place(arguments, count, keywords, in: values)
        return try body(Arguments(values: base))
      }
    }
  }

  private func place(
    _ arguments: UnsafePointer<PythonObject?>?, _ count: Int, _ keywords: PythonObject?,
    in values: UnsafeMutableBufferPointer<PythonObject?>
  ) throws(PythonException) {
    guard count <= names.count else {
      throw .typeError("\(method)() takes \(names.count) arguments, and \(count) were given")
    }
    for index in 0..<count { values[index] = arguments?[index] }
    let keywordCount = keywords.map { PyTuple_Size($0) } ?? 0
    for index in 0..<max(0, keywordCount) {
      guard let keyword = PyTuple_GetItem(keywords, index) else { throw PythonException() }
      guard let parameter = names.firstIndex(where: { Self.isEqual(keyword, $0) }) else {
        throw .typeError("\(method)() has no parameter '\(try text(keyword, "a keyword"))'")
      }
      guard values[parameter] == nil else { throw .typeError("\(method)() got '\(names[parameter])' twice") }
      values[parameter] = arguments?[count + index]
    }
    for index in 0..<required where values[index] == nil {
      let name = names[index].utf8CodeUnitCount == 0 ? "number \(index + 1)" : "'\(names[index])'"
      throw .typeError("\(method)() misses argument \(name)")
    }
  }

  private static func isEqual(_ keyword: PythonObject, _ name: StaticString) -> Bool {
    guard name.utf8CodeUnitCount > 0 else { return false }
    return PyUnicode_CompareWithASCIIString(keyword, name.characters) == 0
  }
}

/// The arguments of one call, one per parameter.
struct Arguments {
  fileprivate let values: UnsafePointer<PythonObject?>

  /// An argument that must be there, as ``Parameters`` has checked.
  subscript(required index: Int) -> PythonObject {
    get throws(PythonException) {
      guard let value = values[index] else { throw .typeError("an argument is missing") }
      return value
    }
  }

  /// One that may be left out.
  subscript(index: Int) -> PythonObject? { values[index] }
}

extension StaticString {
  /// The characters for C, which stay as long as the process.
  var characters: UnsafePointer<CChar> { UnsafeRawPointer(utf8Start).assumingMemoryBound(to: CChar.self) }
}
