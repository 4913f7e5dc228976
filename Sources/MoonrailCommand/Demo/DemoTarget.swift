internal import Glibc

/// The demo's target: this program once more, as a child.
final class DemoTarget {
  /// Where it listens.
  let name: String
  private let child: ChildProcess
  private let seconds: Int
  private var log: [String] = []

  var processID: Int { child.processNumber }

  /// Starts it and waits until it listens.
  init(
    _ choice: TransportChoice, _ neighbours: SameHostOptions, bufferSize: Int, seconds: Int
  ) throws(CommandFailure) {
    self.seconds = seconds
    child = try ChildProcess(
      try Self.executable(),
      [
        "bench", "--mode=target", "--metadata_server=P2PHANDSHAKE", "--local_server_name=127.0.0.1",
        "--buffer_size=\(bufferSize)", "--batch_size=1", "--threads=1", "--exit-with-stdin",
      ] + choice.flags + (neighbours.sameHost ? ["--same-host"] : []))
    let deadline = monotonicNanoseconds() + UInt64(seconds) * 1_000_000_000
    var found: String?
    while found == nil, let line = child.nextLine(deadline: deadline) {
      log.append(line)
      found = TargetRun.listeningName(in: line)
    }
    guard let found else {
      throw CommandFailure(
        monotonicNanoseconds() < deadline
          ? "error: the target ended before it listened:\n" + log.suffix(10).joined(separator: "\n")
          : "error: the target did not listen within \(seconds) s:\n" + log.suffix(10).joined(separator: "\n"))
    }
    name = found
  }

  /// Reads what the target has said, so that it never waits for room in the pipe.
  func drain() {
    while let line = child.nextLine(deadline: monotonicNanoseconds() + 1_000_000) { log.append(line) }
  }

  /// What the target said last, for the message of a failure.
  var lastWords: String {
    drain()
    return log.isEmpty ? "" : "\nThe target said last:\n  " + log.suffix(5).joined(separator: "\n  ")
  }

  /// Ends the target; it must do so by itself and without error.
  func stop() throws(CommandFailure) {
    let deadline = monotonicNanoseconds() + UInt64(min(seconds, 30)) * 1_000_000_000
    guard let status = child.stop(deadline: deadline) else {
      throw CommandFailure("error: the target did not end when asked to, and was killed")
    }
    guard status == 0 else { throw CommandFailure("error: the target ended with wait status \(status)") }
  }

  /// The file that this process runs.
  private static func executable() throws(CommandFailure) -> String {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let length = readlink("/proc/self/exe", &buffer, buffer.count)
    guard length > 0 else { throw CommandFailure("error: /proc/self/exe: \(String(cString: strerror(errno)))") }
    return String(decoding: buffer.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
