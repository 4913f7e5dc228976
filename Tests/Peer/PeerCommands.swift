import TransferEngine

/// What a peer can be told.
struct PeerCommands: ~Copyable {
  let engine: TransferEngine
  let memory: PeerMemory
  let base: UnsafeMutableRawPointer
  let length: Int
  let access: RemoteAccess

  /// Runs one command and returns the line to answer with.
  func run(_ verb: String, _ words: [String]) throws -> String {
    switch verb {
    case "fill":
      let (seed, offset, count, place) = try pattern(words)
      try memory.fill(offset, count, seed: seed, place: place)
      return "ok"
    case "check":
      let (seed, start, count, place) = try pattern(words)
      guard let offset = try memory.firstMismatch(start, count, seed: seed, place: place) else {
        return "ok"
      }
      return "mismatch \(offset)"
    case "write", "read":
      return try transfer(verb == "write" ? .write : .read, words)
    case "notify":
      guard words.count == 3 else { throw PeerError("expected ENGINE NAME TEXT") }
      try engine.notify(words[0], NotificationMessage(name: words[1], message: words[2]))
      return "ok"
    case "probe":
      guard let name = words.first else { throw PeerError("expected ENGINE") }
      try engine.probe(name)
      return "ok"
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
      guard let answer = try control(verb, words) else { throw PeerError("unknown command \(verb)") }
      return answer
    }
  }

  /// `SEED OFFSET LENGTH [PATTERN_OFFSET]`
  private func pattern(_ words: [String]) throws -> (UInt64, Int, Int, UInt64) {
    guard (3...4).contains(words.count), let seed = UInt64(words[0]), let offset = Int(words[1]),
      let count = Int(words[2]), let place = words.count == 4 ? UInt64(words[3]) : 0, offset >= 0, count >= 0,
      offset <= length, count <= length - offset
    else { throw PeerError("expected SEED OFFSET LENGTH [PATTERN_OFFSET] inside the buffer") }
    return (seed, offset, count, place)
  }

  /// `SEGMENT LOCAL_OFFSET REMOTE_ADDRESS BLOCK COUNT [PLACES]`: one batch of `COUNT` requests over the first `PLACES`
  /// blocks, over and over; without it, every request has a block of its own.
  private func transfer(_ opcode: TransferOpcode, _ words: [String]) throws -> String {
    guard (5...6).contains(words.count), let offset = Int(words[1]), let remote = UInt64(words[2]),
      let block = Int(words[3]), let count = Int(words[4]), let places = words.count == 6 ? Int(words[5]) : count,
      offset >= 0, block > 0, count > 0, places > 0, offset + block * places <= length
    else { throw PeerError("expected SEGMENT LOCAL_OFFSET REMOTE_ADDRESS BLOCK COUNT [PLACES]") }
    let segment = try engine.openSegment(words[0])
    let batch = try engine.allocateBatch(capacity: count)
    let requests = (0..<count).map { index in
      let place = index % places * block
      return TransferRequest(
        opcode, local: base + offset + place, target: segment, remote: remote + UInt64(place), length: block)
    }
    try engine.submit(requests, to: batch)
    let status = try engine.wait(for: batch, timeout: .seconds(180))
    try engine.freeBatch(batch)
    try engine.closeSegment(segment)
    return "\(status.state) \(status.transferredBytes)"
  }
}
