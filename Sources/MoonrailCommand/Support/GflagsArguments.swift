/// Turns command lines as the upstream tools (gflags) take them into what the argument parser takes.
enum GflagsArguments {
  /// The flags that are true or false: `--name`, `--noname`, `--name=false`.
  static let booleans: Set<String> = [
    "auto-discovery", "exit-with-stdin", "huge-pages", "init-mem", "json", "same-host", "scatter", "shared-memory",
    "use-vram", "verify", "warmup",
  ]

  /// `arguments` with every flag in the spelling `--block-size`.
  ///
  /// What follows `--` is left alone, and so is everything that does not begin with a dash and a letter, `-1` for one.
  static func normalise(_ arguments: [String]) -> [String] {
    var result: [String] = []
    var remaining = arguments[...]
    while let argument = remaining.popFirst() {
      if argument == "--" {
        result.append(argument)
        result.append(contentsOf: remaining)
        break
      }
      result.append(contentsOf: normalise(flag: argument) ?? [argument])
    }
    return result
  }

  /// nil: not a flag, or one that needs no change.
  private static func normalise(flag argument: String) -> [String]? {
    let body = argument.drop { $0 == "-" }
    let dashes = argument.count - body.count
    guard dashes == 1 || dashes == 2, let first = body.first, first.isLetter, body.count > 1 else { return nil }
    let parts = body.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    let name = String(parts[0].map { $0 == "_" ? "-" : $0 })
    let value = parts.count > 1 ? String(parts[1]) : nil

    if booleans.contains(name) {
      guard let value else { return ["--" + name] }
      switch value.lowercased() {
      case "true", "t", "yes", "y", "1": return ["--" + name]
      case "false", "f", "no", "n", "0": return ["--no-" + name]
      default: return ["--\(name)=\(value)"]
      }
    }
    if value == nil, name.hasPrefix("no"), booleans.contains(String(name.dropFirst(2))) {
      return ["--no-" + name.dropFirst(2)]
    }
    // The parser takes nothing after = for no value; an argument of its own may be empty.
    if value == "" { return ["--" + name, ""] }
    return ["--" + name + (value.map { "=" + $0 } ?? "")]
  }
}
