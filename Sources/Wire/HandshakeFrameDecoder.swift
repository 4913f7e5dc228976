/// Takes bytes as they arrive and gives back whole frames.
///
/// The length and the first payload byte are judged as soon as they are there, so a hostile peer cannot make it hold
/// a body that will be refused. Pull frames until there is none after every push: then it never holds more than one
/// frame and one push. After an error it holds nothing and gives that error again.
public struct HandshakeFrameDecoder: Sendable {
  /// The largest accepted length, in bytes, of the type byte and the body together.
  public let maximumLength: Int

  private var buffer: [UInt8] = []
  private var failure: WireError?

  /// A decoder that refuses frames above the given length in bytes.
  public init(maximumLength: Int) {
    // Lengths are added to the header's, which must not overflow.
    self.maximumLength = min(maximumLength, Int.max - HandshakeFrame.headerLength)
  }

  /// Bytes held that are not yet part of a frame that was given back. Zero between frames.
  public var pendingByteCount: Int { buffer.count }

  /// Takes the next bytes of the stream. Bytes after an error are dropped.
  public mutating func push(_ bytes: some Sequence<UInt8>) {
    guard failure == nil else { return }
    buffer.append(contentsOf: bytes)
    do {
      _ = try frameLength()
    } catch {
      fail(error)
    }
  }

  /// The next whole frame, or `nil` when more bytes are needed.
  ///
  /// Throws `emptyFrame`, `oversizedFrame` or `unexpectedType`; the connection is then of no more use.
  public mutating func next() throws(WireError) -> HandshakeFrame? {
    if let failure { throw failure }
    let length: Int
    do {
      guard let known = try frameLength() else { return nil }
      length = known
    } catch {
      fail(error)
      throw error
    }
    let end = HandshakeFrame.headerLength + length
    guard buffer.count >= end else { return nil }
    let type = HandshakeMessageType(rawValue: buffer[HandshakeFrame.headerLength])
    let bodyStart = HandshakeFrame.headerLength + (type == nil ? 0 : 1)
    let frame = HandshakeFrame(type: type, body: Array(buffer[bodyStart..<end]))
    buffer.removeFirst(end)
    return frame
  }

  private mutating func fail(_ error: WireError) {
    failure = error
    buffer = []
  }

  /// The announced length, once it and the first payload byte are there and acceptable.
  private func frameLength() throws(WireError) -> Int? {
    guard buffer.count >= HandshakeFrame.headerLength else { return nil }
    var length: UInt64 = 0
    for index in (0..<HandshakeFrame.headerLength).reversed() { length = length << 8 | UInt64(buffer[index]) }
    guard length > 0 else {
      throw WireError(
        .emptyFrame, "a handshake frame announces zero bytes", advice: "check what else connects to the handshake port")
    }
    guard length <= UInt64(clamping: maximumLength) else {
      throw WireError(
        .oversizedFrame, "a handshake frame announces \(length) bytes, more than the limit of \(maximumLength)",
        advice: "if the peer is a transfer engine, raise MC_HANDSHAKE_MAX_LENGTH here; else find out who connects")
    }
    guard buffer.count > HandshakeFrame.headerLength else { return nil }
    let first = buffer[HandshakeFrame.headerLength]
    guard HandshakeMessageType(rawValue: first) != nil || Self.startsOldForm(first) else {
      throw WireError(
        .unexpectedType, "a handshake frame starts with byte \(first), which is no message type and no JSON",
        advice: "the peer speaks another protocol or a newer version; compare versions")
    }
    return Int(clamping: length)
  }

  private static func startsOldForm(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "{"), UInt8(ascii: "["), UInt8(ascii: "\""), UInt8(ascii: "n"): true
    case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"), UInt8(ascii: "\n"): true
    default: false
    }
  }
}
