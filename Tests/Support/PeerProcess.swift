internal import Foundation
internal import Glibc

/// An engine in a process of its own (`Tests/Peer`), with one registered buffer.
///
/// `@unchecked Sendable`: one thread at a time may talk to it.
public final class PeerProcess: @unchecked Sendable {
  /// Something that the peer did not do.
  public struct Failure: Error, CustomStringConvertible {
    /// What and why.
    public let description: String
    /// A failure that reads `description`.
    public init(_ description: String) { self.description = description }
  }

  /// The engine's name.
  public private(set) var name = ""
  /// The address of its buffer, in its own process.
  public private(set) var address: UInt64 = 0
  /// The buffer's length in bytes.
  public private(set) var length = 0
  /// The NICs that it has.
  public private(set) var nicCount = 0

  /// The kernel's number of the process.
  public var processIdentifier: Int32 { process.processIdentifier }

  private let process = Process()
  private let input = Pipe()
  private let output = Pipe()
  private var pending = Data()

  /// Starts a peer and waits until it is ready.
  ///
  /// - Parameters:
  ///   - provider: libfabric's provider; nil for what the engine takes by itself.
  ///   - host: The local server name.
  ///   - metadata: The metadata connection string.
  ///   - environment: Variables on top of this process's; an empty value removes one.
  public convenience init(
    provider: String?, host: String = "127.0.0.1", metadata: String = "P2PHANDSHAKE", bufferLength: Int = 64 << 20,
    environment: [String: String] = [:]
  ) throws {
    try self.init(
      arguments: (provider.map { ["--provider", $0] } ?? []) + [
        "--host", host, "--metadata", metadata, "--buffer", "\(bufferLength)",
      ],
      environment: environment)
  }

  /// Starts a peer that speaks TCP.
  ///
  /// - Parameters:
  ///   - access: What others may do with its buffer: `none`, `readOnly` or `readWrite`.
  ///   - address: Where its buffer has to be; 0 for anywhere.
  ///   - environment: Variables on top of this process's; an empty value removes one.
  public convenience init(
    tcp host: String, metadata: String = "P2PHANDSHAKE", bufferLength: Int = 64 << 20, access: String = "readWrite",
    address: UInt = 0, environment: [String: String] = [:]
  ) throws {
    try self.init(
      arguments: [
        "--transport", "tcp", "--host", host, "--metadata", metadata, "--buffer", "\(bufferLength)", "--access", access,
        "--address", "\(address)",
      ],
      environment: environment)
  }

  /// Starts a peer whose buffer is memory of GPU `gpu`, over the provider, or over TCP without one.
  ///
  /// - Parameter environment: Variables on top of this process's, which say where libcuda is.
  public convenience init(
    gpu: Int, provider: String?, bufferLength: Int = 64 << 20, environment: [String: String] = [:]
  ) throws {
    try self.init(
      arguments: (provider.map { ["--provider", $0] } ?? ["--transport", "tcp"]) + [
        "--gpu", "\(gpu)", "--buffer", "\(bufferLength)",
      ],
      environment: environment)
  }

  /// Starts a peer that speaks TCP, and that engines of this host reach directly.
  ///
  /// - Parameters:
  ///   - isShareable: Whether they may map its buffer.
  ///   - user: The user that it becomes before it makes its engine; nil: this process's.
  ///   - launcher: What starts it: a program and its arguments, as `unshare --pid --fork`.
  public convenience init(
    neighbour bufferLength: Int, isShareable: Bool = false, access: String = "readWrite", user: UInt32? = nil,
    launcher: [String] = [], environment: [String: String] = [:]
  ) throws {
    try self.init(
      arguments: [
        "--transport", "tcp", "--buffer", "\(bufferLength)", "--access", access, "--shareable", "\(isShareable)",
      ] + (user.map { ["--user", "\($0)"] } ?? []), launcher: launcher,
      environment: ["MOONRAIL_SAME_HOST": "1"].merging(environment) { $1 })
  }

  /// Peers are reached by what they were started for, and not within the host, unless the test is about that.
  private static let defaults = ["MOONRAIL_SAME_HOST": "0"]

  private init(arguments: [String], launcher: [String] = [], environment: [String: String]) throws {
    // A peer that died has closed the pipe that we tell it through.
    signal(SIGPIPE, SIG_IGN)
    let command = launcher + [try BuiltProducts.directory.appending(path: "TestPeer").path] + arguments
    process.executableURL = URL(filePath: command[0])
    process.arguments = Array(command.dropFirst())
    process.environment = ProcessInfo.processInfo.environment.merging(Self.defaults) { $1 }.merging(environment) { $1 }
      .filter { !$0.value.isEmpty }
    process.standardInput = input
    process.standardOutput = output
    try process.run()
    let words = try readLine(within: 60).split(separator: " ")
    guard words.count == 5, words[0] == "ready", let address = UInt64(words[2]), let length = Int(words[3]),
      let count = Int(words[4])
    else { throw Failure("the peer said: \(words.joined(separator: " "))") }
    name = String(words[1])
    self.address = address
    self.length = length
    nicCount = count
  }

  deinit { kill() }

  /// Settings that pin a peer to one port, drawn outside of the engine's usual range, so that another can come back
  /// under its name.
  public static func portOfItsOwn() -> [String: String] {
    let port = "\(Int.random(in: 20_000..<32_000))"
    return ["MC_MIN_RPC_PORT": port, "MC_MAX_RPC_PORT": port]
  }

  /// Sends one command and returns the peer's answer.
  public func ask(_ command: String, within seconds: Double = 50) throws -> String {
    try tell(command)
    return try readLine(within: seconds)
  }

  /// Sends one command; the answer is read by ``answer(within:)``.
  public func tell(_ command: String) throws {
    try input.fileHandleForWriting.write(contentsOf: Data("\(command)\n".utf8))
  }

  /// The next line that the peer says.
  public func answer(within seconds: Double = 50) throws -> String { try readLine(within: seconds) }

  /// Fills `length` bytes at `offset` of its buffer with the pattern `seed`.
  public func fill(seed: UInt64, offset: Int = 0, length: Int, patternOffset: Int = 0) throws {
    let answer = try ask("fill \(seed) \(offset) \(length) \(patternOffset)")
    guard answer == "ok" else { throw Failure("fill: \(answer)") }
  }

  /// Where `length` bytes at `offset` of its buffer differ from the pattern `seed`, counted from `offset`; nil if
  /// they do not.
  public func mismatch(seed: UInt64, offset: Int = 0, length: Int, patternOffset: Int = 0) throws -> Int? {
    let answer = try ask("check \(seed) \(offset) \(length) \(patternOffset)")
    if answer == "ok" { return nil }
    guard answer.hasPrefix("mismatch "), let place = Int(answer.dropFirst(9)) else {
      throw Failure("check: \(answer)")
    }
    return place
  }

  /// Ends it as a crash would.
  public func kill() {
    guard process.isRunning else { return }
    Glibc.kill(process.processIdentifier, SIGKILL)
    process.waitUntilExit()
    removeSharedMemory()
  }

  /// Removes what the shm provider of a process that was killed leaves behind: 16 MiB a NIC, which stay for good and are
  /// this host's memory.
  private func removeSharedMemory() {
    let place = "/dev/shm"
    let names = (try? FileManager.default.contentsOfDirectory(atPath: place)) ?? []
    for name in names where name.hasPrefix("\(process.processIdentifier)-") {
      try? FileManager.default.removeItem(atPath: "\(place)/\(name)")
    }
  }

  /// Stops it where it is, so that it answers nothing and its sockets stay open.
  /// Returns when all of its threads stand, which takes the kernel a moment.
  public func suspend() {
    Glibc.kill(process.processIdentifier, SIGSTOP)
    let tasks = "/proc/\(process.processIdentifier)/task"
    for _ in 0..<1000 {
      let names = (try? FileManager.default.contentsOfDirectory(atPath: tasks)) ?? []
      let isStopped = names.allSatisfy { name in
        let status = try? String(contentsOfFile: "\(tasks)/\(name)/status", encoding: .utf8)
        return status?.contains("State:\tT") ?? true
      }
      if isStopped { return }
      usleep(1000)
    }
  }

  /// Lets it go on.
  public func resume() { Glibc.kill(process.processIdentifier, SIGCONT) }

  private func readLine(within seconds: Double) throws -> String {
    let deadline = Date().addingTimeInterval(seconds)
    let descriptor = output.fileHandleForReading.fileDescriptor
    while true {
      if let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
        let line = String(decoding: pending[pending.startIndex..<end], as: UTF8.self)
        pending.removeSubrange(pending.startIndex...end)
        return line
      }
      let left = deadline.timeIntervalSinceNow
      guard left > 0 else { throw Failure("the peer said nothing for \(seconds) s") }
      var poller = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
      guard poll(&poller, 1, Int32(min(left * 1000, 1000)) + 1) > 0 else { continue }
      var chunk = [UInt8](repeating: 0, count: 4096)
      let count = read(descriptor, &chunk, chunk.count)
      guard count > 0 else { throw Failure("the peer has ended") }
      pending.append(contentsOf: chunk[0..<count])
    }
  }
}
