internal import ArgumentParser
internal import EngineLog
internal import Glibc
internal import Logging
internal import MetadataServer
internal import NIOCore
internal import NIOPosix

/// `moonrail metadata-server`: upstream's `mooncake_http_metadata_server`.
struct MetadataServerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "metadata-server",
    abstract: "Keeps the metadata of engines that find each other over HTTP.",
    discussion: """
      Takes the flags of mooncake_http_metadata_server and answers as it does, for engines of either kind. A name whose \
      owner does not accept connections any more can be taken by another engine: a host that crashed comes back under \
      its name. With --persist, a restart of the server forgets nothing.

      On one host, reachable by all others; it prints the address to use:
        moonrail metadata-server --port=8080 --persist=/var/lib/moonrail/metadata
      On each of the others, in the application's configuration:
        metadata_server = http://10.0.0.1:8080/metadata
      To look at it, and to remove the entry of a host that does not come back:
        curl http://10.0.0.1:8080/health
        curl http://10.0.0.1:8080/metrics
        curl -X DELETE 'http://10.0.0.1:8080/metadata?key=mooncake/rpc_meta/host-7'
      """)

  @Option(help: "The name or address to listen on.")
  var host = "0.0.0.0"

  @Option(help: "The port to listen on; 0 for any that is free.")
  var port = 8080

  @Option(help: "DEBUG, INFO, WARNING, ERROR or CRITICAL.")
  var logLevel = "INFO"

  @Option(help: "A file that keeps the entries over a restart. Default: none.")
  var persist: String?

  @Option(help: "Entries above which a new one is refused. Two belong to each engine.")
  var maxEntries = MetadataServerOptions().maximumEntries

  @Option(help: "The longest value in bytes.")
  var maxValueBytes = MetadataServerOptions().maximumValueBytes

  @Option(help: "Bytes of all keys and values together.")
  var maxTotalBytes = MetadataServerOptions().maximumTotalBytes

  @Option(help: "Connections at once; above it the one that has been idle longest is closed.")
  var maxConnections = MetadataServerOptions().maximumConnections

  func run() throws { try execute() }

  private func execute() throws(CommandFailure) {
    let options = try makeOptions()
    let level = try level()
    let logger = StandardErrorLog.logger("moonrail", level: level)
    // A connection is a file.
    Self.raiseFileLimit()
    // A file that may not grow is an error of a write, not the end of the process.
    signal(SIGXFSZ, SIG_IGN)
    let signals = StopSignals()
    let server: MetadataServer
    do throws(MetadataServerError) {
      server = try MetadataServer(options: options, group: MultiThreadedEventLoopGroup.singleton, logger: logger)
    } catch {
      throw CommandFailure("error: \(error)")
    }
    Output.print("listening on \(server.address)")
    while !signals.wait(milliseconds: 1000) {}
    logger.info("shutting down")
    server.stop()
  }

  private func makeOptions() throws(CommandFailure) -> MetadataServerOptions {
    guard let port = UInt16(exactly: port) else {
      throw CommandFailure("error: --port=\(port): must be from 0 to 65535")
    }
    // Lengths are 32 bits in the file.
    for (name, value, largest) in [
      ("max-entries", maxEntries, Int.max), ("max-value-bytes", maxValueBytes, 1 << 30),
      ("max-total-bytes", maxTotalBytes, Int.max), ("max-connections", maxConnections, Int.max),
    ] where value < 1 || value > largest {
      throw CommandFailure("error: --\(name)=\(value): must be from 1 to \(largest)")
    }
    if persist == "" { throw CommandFailure("error: --persist is empty: give it the name of a file") }
    var options = MetadataServerOptions()
    options.host = host.hasPrefix("[") && host.hasSuffix("]") ? String(host.dropFirst().dropLast()) : host
    options.port = port
    options.persistencePath = persist
    options.maximumEntries = maxEntries
    options.maximumValueBytes = maxValueBytes
    options.maximumTotalBytes = maxTotalBytes
    options.maximumConnections = maxConnections
    return options
  }

  private func level() throws(CommandFailure) -> Logger.Level {
    let name = logLevel.uppercased()
    if name == "CRITICAL" { return .critical }
    guard ["TRACE", "DEBUG", "INFO", "WARNING", "ERROR"].contains(name) else {
      throw CommandFailure("error: --log_level=\(logLevel): must be DEBUG, INFO, WARNING, ERROR or CRITICAL")
    }
    return StandardErrorLog.level(named: name)
  }

  private static func raiseFileLimit() {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = limit.rlim_max
    _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }
}
