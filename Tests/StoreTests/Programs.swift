import Foundation
import Glibc
import NIOCore
import NIOPosix
import TestSupport
import Wire

@testable import Metadata

let loops = MultiThreadedEventLoopGroup.singleton

/// A program that a test needs and that the host may not have.
enum Program: String {
  case etcd
  case redis = "redis-server"

  /// Where it is; nil where it is not installed.
  var path: String? {
    ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/opt/homebrew/bin"].map { "\($0)/\(rawValue)" }
      .first { access($0, X_OK) == 0 }
  }

  var isInstalled: Bool { path != nil }

  /// What to do where it is not.
  var advice: String {
    "\(rawValue) is not installed: run scripts/setup.sh, or apt-get install etcd-server redis-server"
  }
}

/// A store's server in a process of its own, with its data in a directory that goes with it.
///
/// `@unchecked Sendable`: one thread at a time uses it.
final class StoreProcess: @unchecked Sendable {
  struct Failure: Error, CustomStringConvertible { let description: String }

  let program: Program
  let port: Int
  private let peerPort: Int
  private let password: String?
  private let directory: URL
  private var process = Process()

  var source: String { "\(program == .etcd ? "etcd" : "redis")://127.0.0.1:\(port)" }

  /// Starts one on free ports of the loopback interface, and waits until it answers.
  init(_ program: Program, password: String? = nil) throws {
    self.program = program
    self.password = password
    port = try freePort()
    peerPort = try freePort()
    directory = FileManager.default.temporaryDirectory.appending(path: "moonrail-\(program.rawValue)-\(UUID())")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    try start()
  }

  deinit {
    kill()
    try? FileManager.default.removeItem(at: directory)
  }

  /// Starts it, again after ``kill()``: on the same port, with the same data.
  func start() throws {
    guard let path = program.path else { throw Failure(description: program.advice) }
    process = Process()
    process.executableURL = URL(filePath: path)
    process.arguments = arguments
    // What the user has set for a server of their own.
    process.environment = ProcessInfo.processInfo.environment.filter { !$0.key.hasPrefix("ETCD_") }
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    process.standardInput = FileHandle.nullDevice
    try process.run()
    var options = MetadataStoreOptions()
    options.redisPassword = password ?? ""
    let store = try makeStore(source, options: options)
    defer { store.close() }
    let deadline = ContinuousClock.now + .seconds(60)
    while true {
      do {
        _ = try store.get("ready", deadline: .now() + .seconds(5)).wait()
        return
      } catch {
        guard process.isRunning, ContinuousClock.now < deadline else {
          kill()
          throw Failure(description: "\(program.rawValue) did not start on port \(port): \(error)")
        }
      }
    }
  }

  /// Ends it as a crash would.
  func kill() {
    guard process.isRunning else { return }
    Glibc.kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
  }

  private var arguments: [String] {
    switch program {
    case .etcd:
      let client = "http://127.0.0.1:\(port)"
      let peer = "http://127.0.0.1:\(peerPort)"
      return [
        "--name", "test", "--data-dir", directory.path(), "--listen-client-urls", client, "--advertise-client-urls",
        client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster",
        "test=\(peer)",
      ]
    case .redis:
      // Written at once, so that a crash loses nothing, as with etcd.
      return [
        "--port", "\(port)", "--bind", "127.0.0.1", "--dir", directory.path(), "--appendonly", "yes", "--appendfsync",
        "always", "--save", "",
      ] + (password.map { ["--requirepass", $0] } ?? [])
    }
  }
}

/// The store that a connection string names.
func makeStore(_ source: String, options: MetadataStoreOptions = MetadataStoreOptions()) throws -> any MetadataStore {
  switch try MetadataSource(source) {
  case .peers: throw StoreProcess.Failure(description: "P2PHANDSHAKE is no store")
  case .http(let location): HTTPStore(location, group: loops)
  case .etcd(let endpoints): EtcdStore(endpoints, group: loops)
  case .redis(let server): RedisStore(server, options: options, group: loops)
  }
}

extension MetadataStore {
  /// The default deadline, from now.
  var deadline: NIODeadline { .now() + timeout.timeAmount }
}

/// A port of the loopback interface that nobody listens on.
func freePort() throws -> Int {
  let channel = try ServerBootstrap(group: loops).bind(host: "127.0.0.1", port: 0).wait()
  defer { try? channel.close().wait() }
  return channel.localAddress?.port ?? 0
}

/// The metadata error of `body`; nil if there is none.
func metadataError(_ body: () throws -> Void) -> MetadataError? {
  do {
    try body()
    return nil
  } catch {
    return error as? MetadataError
  }
}
