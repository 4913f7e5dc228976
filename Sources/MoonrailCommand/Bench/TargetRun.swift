internal import EngineLog
internal import Glibc
internal import TransferEngine

/// A target: memory that is registered and stays, for peers to read and write.
enum TargetRun {
  /// Says where it listens and stays until SIGINT or SIGTERM or, if asked to, until standard input ends.
  static func run(_ options: RunOptions, _ parameters: RunParameters) throws(CommandFailure) {
    let signals = StopSignals()
    let nodes = numaNodes()
    Output.error("DRAM is used, numa node num: \(nodes.count)")
    // The engine says where it listens as soon as it does. Whoever waits for that line wants to start, and can when
    // the memory is registered: it is said then.
    let session = try EngineSession(
      try options.configuration(), nodes: nodes, bufferSize: parameters.bufferSize,
      byte: parameters.fillsMemory ? 0xCC : 0, kind: options.memoryKind,
      logger: StandardErrorLog.logger("moonrail", omitting: listeningPrefix))
    Output.error(listeningLine(session.engine.name))
    while !signals.wait(milliseconds: 200) {
      if options.exitWithStdin && standardInputHasEnded() { break }
    }
    session.engine.shutdown()
  }

  private static let listeningPrefix = "Transfer Engine RPC using P2P handshake, listening on "

  /// Upstream's line, which scripts look for.
  static func listeningLine(_ name: String) -> String { listeningPrefix + name }

  /// The `host:port` in a line that says where a target listens.
  static func listeningName(in line: String) -> String? {
    guard let marker = line.firstRange(of: "listening on ") else { return nil }
    let name = line[marker.upperBound...].prefix { !$0.isWhitespace }
    return name.contains(":") ? String(name) : nil
  }

  private static func standardInputHasEnded() -> Bool {
    var entry = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
    guard poll(&entry, 1, 0) > 0 else { return false }
    var byte: UInt8 = 0
    return read(STDIN_FILENO, &byte, 1) <= 0
  }
}
