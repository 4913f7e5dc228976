/// What a server answers to an acknowledged request on a TCP data connection: 8 bytes, little endian, `MCTV` in the high
/// half and a code in the low one.
public struct TCPStatusFrame: RawRepresentable, Equatable, Sendable {
  /// Bytes of the frame.
  public static let length = 8
  /// The high half.
  public static let magic: UInt32 = 0x4D43_5456

  /// Done: of a write, all bytes are in memory; of a read, they follow.
  public static let ok = TCPStatusFrame(rawValue: 0)
  /// The range is not inside one registered buffer, or the buffer does not allow this. The connection ends here.
  public static let rejected = TCPStatusFrame(rawValue: 1)
  /// To a ``TCPHello``: this is the life that is meant.
  public static let sameLife = TCPStatusFrame(rawValue: 0x4D52_0001)
  /// To a ``TCPHello``: this is another one. The connection ends here.
  public static let otherLife = TCPStatusFrame(rawValue: 0x4D52_0002)

  /// The code.
  public let rawValue: UInt32

  /// The frame with this code.
  public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// Reads ``length`` bytes; nil where they are not a status frame.
  public init?(decoding bytes: UnsafeRawPointer) {
    let value = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
    guard UInt32(truncatingIfNeeded: value >> 32) == Self.magic else { return nil }
    rawValue = UInt32(truncatingIfNeeded: value)
  }

  /// Writes ``length`` bytes.
  public func encode(into bytes: UnsafeMutableRawPointer) {
    bytes.storeBytes(of: (UInt64(Self.magic) << 32 | UInt64(rawValue)).littleEndian, as: UInt64.self)
  }
}
