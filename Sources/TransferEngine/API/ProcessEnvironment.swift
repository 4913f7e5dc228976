internal import Glibc

/// The environment of this process.
public enum ProcessEnvironment {
  /// A copy of all variables; a name that occurs twice keeps its first value, as `getenv` reads it.
  public static var current: [String: String] {
    var variables: [String: String] = [:]
    var cursor = environ
    while let entry = cursor.pointee {
      let text = String(cString: entry)
      if let split = text.firstIndex(of: "=") {
        let name = String(text[..<split])
        if variables[name] == nil { variables[name] = String(text[text.index(after: split)...]) }
      }
      cursor += 1
    }
    return variables
  }
}
