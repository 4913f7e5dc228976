import Foundation
import Logging
import Metadata
import NIOPosix
import Synchronization
import TestSupport
import Wire

@testable import MetadataServer

let loops = MultiThreadedEventLoopGroup.singleton

/// Collects what is logged.
final class LogLines: Sendable {
  private let lines = Mutex<[String]>([])

  var logger: Logger { Logger(label: "test") { _ in Handler(lines: self) } }

  func contains(_ text: String) -> Bool { lines.withLock { $0.contains { $0.contains(text) } } }

  private struct Handler: LogHandler {
    let lines: LogLines
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.debug

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { lines.lines.withLock { $0.append("\(event.level): \(event.message)") } }
  }
}

/// A server on a free port of the loopback interface, stopped with the test.
final class Served {
  let server: MetadataServer
  let lines = LogLines()
  private var isStopped = false
  var port: UInt16 { server.port }

  init(_ change: (inout MetadataServerOptions) -> Void = { _ in }) throws {
    var options = MetadataServerOptions()
    options.host = "127.0.0.1"
    options.port = 0
    change(&options)
    server = try MetadataServer(options: options, group: loops, logger: lines.logger)
  }

  func stop() {
    if !isStopped { server.stop() }
    isStopped = true
  }

  /// Somebody else has.
  func wasStopped() { isStopped = true }

  deinit { stop() }

  func request(_ method: String, _ key: String, _ body: String? = nil) throws -> RawHTTP.Reply {
    try RawHTTP.request(method, "/metadata?key=\(key)", body: body.map { Array($0.utf8) }, port: port)
  }

  /// The value of a metric.
  func metric(_ name: String) throws -> String? {
    try RawHTTP.request("GET", "/metrics", port: port).text.split(separator: "\n")
      .first { $0.hasPrefix(name + " ") }.map { String($0.dropFirst(name.count + 1)) }
  }
}

/// An engine that answers probes.
final class LivingOwner {
  private final class Service: HandshakeService {
    func connection(_ request: ConnectionMessage) -> ConnectionMessage { .refusal("test") }
    func segmentDescriptor(for request: DescriptorRequest) -> [UInt8]? { nil }
    func notification(_ message: NotifyMessage) -> NotifyMessage { .rejected }
  }

  private let daemon: HandshakeDaemon
  var port: UInt16 { daemon.port }
  var entry: String { "{\"ip_or_host_name\":\"127.0.0.1\",\"rpc_port\":\(port)}" }

  init() throws {
    var options = HandshakeOptions()
    options.portRange = 20000...29999
    daemon = try HandshakeDaemon(options: options, service: Service(), group: loops, logger: LogLines().logger)
  }

  func die() { daemon.close() }

  deinit { die() }
}

/// A directory that goes with the test.
final class Folder {
  let path: String
  var file: String { path + "/metadata" }

  init() throws {
    path = FileManager.default.temporaryDirectory.appending(path: "moonrail-\(UUID().uuidString)").path()
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  /// The bytes of a file; empty if there is none.
  func bytes(_ suffix: String = "") -> [UInt8] { Array(FileManager.default.contents(atPath: file + suffix) ?? Data()) }

  func write(_ bytes: [UInt8]) throws { try Data(bytes).write(to: URL(filePath: file)) }
}
