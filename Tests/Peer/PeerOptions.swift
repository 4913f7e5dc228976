/// The peer's command line: `--provider NAME --host NAME --buffer BYTES --metadata CONNECTION_STRING`.
struct PeerOptions {
  var provider: String?
  var host = "127.0.0.1"
  var bufferLength = 64 << 20
  var metadata = "P2PHANDSHAKE"

  init(_ arguments: some Sequence<String>) throws {
    var iterator = arguments.makeIterator()
    while let flag = iterator.next() {
      guard let value = iterator.next() else { throw PeerError("\(flag) needs a value") }
      switch flag {
      case "--provider": provider = value
      case "--host": host = value
      case "--metadata": metadata = value
      case "--buffer":
        guard let bytes = Int(value) else { throw PeerError("--buffer needs a number") }
        bufferLength = bytes
      default: throw PeerError("unknown flag \(flag)")
      }
    }
  }
}

/// A wrong command.
struct PeerError: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
