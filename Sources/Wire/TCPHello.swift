/// The first thing on a TCP data connection between two Moonrail engines: the client says which life of the server it
/// means, and the server says whether that is the one it lives.
///
/// An extension, spoken only to servers whose segment descriptor carries `moonrail_incarnation`. On the wire it is a
/// request header of 24 bytes, little endian: a payload length of 0, 8 bytes that stand for the incarnation in the place
/// of the address, the code `0xC8`, seven zeros. Requests without a payload are refused by every server, so nothing
/// that others send is taken for this, and a server that does not know it moves no byte: upstream 0.3.13 answers
/// ``TCPStatusFrame/rejected`` and closes, 0.3.10 says nothing. The answer is ``TCPStatusFrame/sameLife`` or
/// ``TCPStatusFrame/otherLife``, whatever the version of the framing; after the latter the server closes.
public struct TCPHello: Equatable, Sendable {
  /// Bytes of the hello, the same as of a request header.
  public static let length = TCPRequestHeader.length

  /// What stands for the incarnation: FNV-1a, 64 bits, of its UTF-8. Two lives agree by chance once in 2^64.
  public var fingerprint: UInt64

  private static let code: UInt8 = 0xC8

  /// The hello for the life called `incarnation`.
  public init(incarnation: String) {
    fingerprint = incarnation.utf8.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
  }

  /// Reads ``length`` bytes; nil where they are a request. The padding is not looked at.
  public init?(decoding bytes: UnsafeRawPointer) {
    guard bytes.load(fromByteOffset: 16, as: UInt8.self) == Self.code, bytes.loadUnaligned(as: UInt64.self) == 0 else {
      return nil
    }
    fingerprint = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
  }

  /// The bytes as they go on the wire.
  public var encoded: [UInt8] {
    [UInt8](repeating: 0, count: 8) + (0..<8).map { UInt8(truncatingIfNeeded: fingerprint >> (8 * $0)) }
      + [Self.code] + [UInt8](repeating: 0, count: 7)
  }
}
