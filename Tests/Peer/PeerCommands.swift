import Memory
import TransferEngine

/// What a peer can be told.
struct PeerCommands {
  let engine: TransferEngine
  let base: UnsafeMutableRawPointer
  let length: Int
  let access: RemoteAccess

  /// Runs one command and returns the line to answer with.
  func run(_ verb: String, _ words: [String]) throws -> String {
    switch verb {
    case "fill":
      let (seed, range) = try pattern(words)
      PatternFill.fill(range, seed: seed)
      return "ok"
    case "check":
      let (seed, range) = try pattern(words)
      guard let offset = PatternFill.firstMismatch(UnsafeRawBufferPointer(range), seed: seed) else { return "ok" }
      return "mismatch \(offset)"
    case "write", "read":
      return try transfer(verb == "write" ? .write : .read, words)
    case "register":
      // A second engine buffer over a part of the peer's memory is not possible: so re-register the whole.
      try engine.register(base, length: length, remoteAccess: access)
      return "ok"
    case "unregister":
      try engine.unregister(base)
      return "ok"
    case "notifications":
      return "ok " + engine.takeNotifications().map { "\($0.name)=\($0.message)" }.joined(separator: ",")
    default:
      throw PeerError("unknown command \(verb)")
    }
  }

  /// `SEED OFFSET LENGTH`
  private func pattern(_ words: [String]) throws -> (UInt64, UnsafeMutableRawBufferPointer) {
    guard words.count == 3, let seed = UInt64(words[0]), let offset = Int(words[1]), let count = Int(words[2]),
      offset >= 0, count >= 0, offset <= length, count <= length - offset
    else { throw PeerError("expected SEED OFFSET LENGTH inside the buffer") }
    return (seed, UnsafeMutableRawBufferPointer(start: base + offset, count: count))
  }

  /// `SEGMENT LOCAL_OFFSET REMOTE_ADDRESS BLOCK COUNT`
  private func transfer(_ opcode: TransferOpcode, _ words: [String]) throws -> String {
    guard words.count == 5, let offset = Int(words[1]), let remote = UInt64(words[2]), let block = Int(words[3]),
      let count = Int(words[4]), offset >= 0, block > 0, count > 0, offset + block * count <= length
    else { throw PeerError("expected SEGMENT LOCAL_OFFSET REMOTE_ADDRESS BLOCK COUNT") }
    let segment = try engine.openSegment(words[0])
    let batch = try engine.allocateBatch(capacity: count)
    let requests = (0..<count).map { index in
      TransferRequest(
        opcode, local: base + offset + index * block, target: segment, remote: remote + UInt64(index * block),
        length: block)
    }
    try engine.submit(requests, to: batch)
    let status = try engine.wait(for: batch, timeout: .seconds(60))
    try engine.freeBatch(batch)
    try engine.closeSegment(segment)
    return "\(status.state) \(status.transferredBytes)"
  }
}
