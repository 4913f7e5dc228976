internal import Glibc

@testable import MoonrailCommand

/// The environment variable `name`; nil where it is unset or empty.
func environmentVariable(_ name: String) -> String? {
  guard let value = getenv(name), value.pointee != 0 else { return nil }
  return String(cString: value)
}

/// A target in a process of its own, ended with the test.
final class Target {
  /// Where it listens.
  let name: String
  /// What it has said.
  private(set) var log: [String]
  private let child: ChildProcess

  /// Starts `moonrail` with `arguments` and waits for the line that says where it listens.
  init(_ arguments: [String], _ environment: [String: String], marker: String = "listening on ") throws {
    guard let path = Tool.path else { throw CommandFailure("not built") }
    // Standard output goes the way of standard error, where the lines are read.
    let quoted = ([path] + arguments).map { "'\($0)'" }.joined(separator: " ")
    let settings = environment.map { "\($0.key)='\($0.value)'" }.joined(separator: " ")
    child = try ChildProcess("/bin/sh", ["-c", "exec env \(settings) \(quoted) 1>&2"])
    var log: [String] = []
    var found: String?
    let deadline = monotonicNanoseconds() + 60_000_000_000
    while found == nil, let line = child.nextLine(deadline: deadline) {
      log.append(line)
      if let range = line.firstRange(of: marker) { found = String(line[range.upperBound...].prefix { $0 != " " }) }
    }
    self.log = log
    guard let found else { throw CommandFailure("no target: \(log.joined(separator: "\n"))") }
    name = found
  }

  /// Ends it and returns its wait status; nil if it had to be killed.
  func stop() -> Int32? {
    while let line = child.nextLine(deadline: monotonicNanoseconds() + 1_000_000) { log.append(line) }
    return child.stop(deadline: monotonicNanoseconds() + 20_000_000_000)
  }

  /// Kills it, as a host that fails.
  func kill() { Glibc.kill(pid_t(child.processNumber), SIGKILL) }

  /// Waits for it to end by itself and returns its wait status; nil if it does not within `seconds`.
  func end(seconds: UInt64) -> Int32? {
    let deadline = monotonicNanoseconds() + seconds * 1_000_000_000
    while let line = child.nextLine(deadline: deadline) { log.append(line) }
    return monotonicNanoseconds() < deadline ? child.stop(deadline: deadline) : nil
  }
}
