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
