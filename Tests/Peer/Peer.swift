// The other process of the engine's tests: an engine with one buffer, told what to do line by line on standard input.

import Glibc
import TransferEngine

@main
struct Peer {
  static func main() {
    do {
      let options = try PeerOptions(CommandLine.arguments.dropFirst())
      let engine = try TransferEngine(
        Configuration(localServerName: options.host, transports: [options.transport], provider: options.provider))
      let buffer = try GuardedBuffer(length: options.bufferLength)
      try engine.register(buffer.baseAddress, length: buffer.length, remoteAccess: options.access)
      say("ready \(engine.name) \(UInt(bitPattern: buffer.baseAddress)) \(buffer.length) \(engine.nics.count)")
      let commands = PeerCommands(
        engine: engine, base: buffer.baseAddress, length: buffer.length, access: options.access)
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

  /// Writes a line at once: standard output is a pipe, which `print` would buffer.
  private static func say(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    _ = bytes.withUnsafeBytes { write(STDOUT_FILENO, $0.baseAddress, $0.count) }
  }
}
