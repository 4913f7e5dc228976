/// What a handshake frame asks for; the value is the type byte on the wire.
public enum HandshakeMessageType: UInt8, Sendable, CaseIterable {
  /// Exchange NIC addresses to connect a pair of NICs.
  case connection = 0
  /// Ask for the segment descriptor.
  case metadata = 1
  /// Deliver a notification.
  case notify = 2
  /// Ask whether the peer is alive.
  case probe = 3
}

/// One handshake message: a length, a type byte, and JSON text.
///
/// On the wire: an unsigned 64-bit little-endian length that counts all that follows, the type byte, the body. The old
/// form has no type byte; it means `connection`.
public struct HandshakeFrame: Equatable, Sendable {
  /// Bytes of the length field.
  public static let headerLength = 8

  /// The message type; `nil` is the old form without a type byte, which stands for a connection request.
  public let type: HandshakeMessageType?
  /// The JSON text, UTF-8.
  public let body: [UInt8]

  /// A frame from its parts.
  public init(type: HandshakeMessageType?, body: [UInt8]) {
    self.type = type
    self.body = body
  }

  /// The frame's bytes as they go on the wire.
  public func encoded() -> [UInt8] {
    let length = UInt64(body.count + (type == nil ? 0 : 1))
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Self.headerLength + Int(length))
    for shift in stride(from: UInt64(0), to: 64, by: 8) { bytes.append(UInt8(truncatingIfNeeded: length >> shift)) }
    if let type { bytes.append(type.rawValue) }
    bytes.append(contentsOf: body)
    return bytes
  }
}
