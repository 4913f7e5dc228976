import TransferEngine

/// The peer's command line: `--transport efa|tcp --provider NAME --host NAME --buffer BYTES`, `--metadata
/// CONNECTION_STRING`, `--address NUMBER`, where the buffer has to be, `--access none|readOnly|readWrite`, what other engines may
/// do with the buffer, and `--gpu NUMBER`, whose memory it is: the host's without it, or with a number below 0; `--shareable true`, for memory
/// that engines of this host can map, and `--user NUMBER`, the user to become first.
struct PeerOptions {
  var transport = Configuration.Transport.efa
  var provider: String?
  var access = RemoteAccess.readWrite
  var host = "127.0.0.1"
  var bufferLength = 64 << 20
  var metadata = "P2PHANDSHAKE"
  var address: UInt = 0
  var gpu: Int?
  var isShareable = false
  var user: UInt32?

  init(_ arguments: some Sequence<String>) throws {
    var iterator = arguments.makeIterator()
    while let flag = iterator.next() {
      guard let value = iterator.next() else { throw PeerError("\(flag) needs a value") }
      switch flag {
      case "--transport":
        guard let named = Configuration.Transport(rawValue: value) else { throw PeerError("--transport \(value)") }
        transport = named
      case "--provider": provider = value
      case "--access":
        guard let named = RemoteAccess.allCases.first(where: { "\($0)" == value }) else {
          throw PeerError("--access \(value)")
        }
        access = named
      case "--gpu": gpu = Int(value).flatMap { $0 < 0 ? nil : $0 }
      case "--shareable": isShareable = value == "true"
      case "--user": user = UInt32(value)
      case "--host": host = value
      case "--metadata": metadata = value
      case "--address":
        guard let number = UInt(value) else { throw PeerError("--address needs a number") }
        address = number
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
