import TransferEngine

extension PeerCommands {
  /// What a peer can be told besides moving bytes; nil for a verb that is none of these.
  func control(_ verb: String, _ words: [String]) throws -> String? {
    switch verb {
    case "probe":
      try engine.probe(try one(words))
      return "ok"
    case "warmup":
      try engine.warmup(segment: try one(words))
      return "ok"
    case "tcp":
      guard let statistics = engine.tcpStatistics else { return "none" }
      let numbers = [statistics.initiated, statistics.served].flatMap { [$0.bytes, $0.operations, $0.failures] }
      return "ok " + numbers.map(String.init).joined(separator: " ")
    case "write-for":
      return try writeFor(words)
    case "write-notify":
      return try notify(words)
    default:
      return nil
    }
  }

  private func one(_ words: [String]) throws -> String {
    guard words.count == 1, let word = words.first else { throw PeerError("expected SEGMENT") }
    return word
  }

  /// `SEGMENT REMOTE_ADDRESS NAME MESSAGE`: writes one byte and notifies with it.
  private func notify(_ words: [String]) throws -> String {
    guard words.count == 4, let remote = UInt64(words[1]) else {
      throw PeerError("expected SEGMENT REMOTE_ADDRESS NAME MESSAGE")
    }
    let segment = try engine.openSegment(words[0])
    let batch = try engine.allocateBatch(capacity: 1)
    try engine.submit(
      [TransferRequest(.write, local: base, target: segment, remote: remote, length: 1)], to: batch,
      notification: NotificationMessage(name: words[2], message: words[3]))
    let status = try engine.wait(for: batch, timeout: .seconds(60))
    try engine.freeBatch(batch)
    try engine.closeSegment(segment)
    return status.state == .completed ? "ok" : "\(status.state)"
  }
}

extension PeerCommands {
  /// `SECONDS SEGMENT REMOTE_ADDRESS BLOCK COUNT`: writes the same batch over and over, until it does not complete or
  /// the time is up.
  func writeFor(_ words: [String]) throws -> String {
    guard words.count == 5, let seconds = Double(words[0]), let block = Int(words[3]), let count = Int(words[4]),
      let remote = UInt64(words[2]), block > 0, count > 0, block * count <= length
    else { throw PeerError("expected SECONDS SEGMENT REMOTE_ADDRESS BLOCK COUNT") }
    let segment = try engine.openSegment(words[1])
    let requests = (0..<count).map { index in
      TransferRequest(
        .write, local: base + index * block, target: segment, remote: remote + UInt64(index * block), length: block)
    }
    let end = ContinuousClock.now + .seconds(seconds)
    while true {
      let batch = try engine.allocateBatch(capacity: count)
      try engine.submit(requests, to: batch)
      let status = try engine.wait(for: batch, timeout: .seconds(120))
      // A part that timed out may still be with the NIC; the engine keeps such a batch.
      try? engine.freeBatch(batch)
      if status.state != .completed || ContinuousClock.now > end { return "\(status.state) \(status.transferredBytes)" }
    }
  }
}
