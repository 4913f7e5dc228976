// The other process of the engine's tests: an engine with one buffer, told what to do line by line on standard input.

import Glibc
import Logging
import TransferEngine

@main
struct Peer {
  static func main() {
    do {
      let options = try PeerOptions(CommandLine.arguments.dropFirst())
      var logger = Logger(label: "peer")
      logger.logLevel = .error
      if let user = options.user, setgid(user) != 0 || setuid(user) != 0 { throw PeerError("setuid: error \(errno)") }
      // Before the engine, as with those who use CUDA.
      let memory = try PeerMemory(options)
      let engine = try TransferEngine(
        Configuration(
          localServerName: options.host, metadataServer: options.metadata, transports: [options.transport],
          provider: options.provider),
        logger: logger)
      guard let base = UnsafeMutableRawPointer(bitPattern: memory.address) else { throw PeerError("no memory") }
      let length = memory.length
      try engine.register(base, length: length, remoteAccess: options.access)
      say("ready \(engine.name) \(memory.address) \(length) \(engine.nics.count)")
      let commands = PeerCommands(
        engine: engine, memory: memory, base: base, length: length, access: options.access)
      while let line = readLine() {
        let words = line.split(separator: " ").map(String.init)
        guard let verb = words.first, verb != "exit" else { break }
        do {
          say(try commands.run(verb, Array(words.dropFirst())))
        } catch {
          say("error \(error)")
        }
      }
      engine.shutdown()
    } catch {
      say("error \(error)")
      exit(1)
    }
  }

  /// Writes one line at once: standard output is a pipe, which `print` would buffer.
  private static func say(_ text: String) {
    let line = text.split(separator: "\n").joined(separator: " ")
    let bytes = Array((line + "\n").utf8)
    _ = bytes.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
  }
}
