/// What a client sends before everything else on a TCP data connection: one request to read or write the server's
/// memory.
///
/// On the wire 24 bytes, little endian: the payload's length, the address in the server's process, one byte for the
/// opcode and the framing, and seven bytes that say nothing. We send those as zeros; peers may send anything.
public struct TCPRequestHeader: Equatable, Sendable {
  /// Bytes of the header.
  public static let length = 24

  /// The direction.
  public enum Opcode: UInt8, Sendable {
    /// From the server's memory to the client.
    case read = 0
    /// From the client into the server's memory.
    case write = 1
  }

  /// Bytes of payload.
  public var size: UInt64
  /// The first address in the server's process.
  public var address: UInt64
  /// The direction.
  public var opcode: Opcode
  /// Whether the server answers with a ``TCPStatusFrame`` (version 2 of the framing).
  public var isAcknowledged: Bool

  private static let acknowledgedFlag: UInt8 = 0x80

  /// A header from its parts.
  public init(_ opcode: Opcode, address: UInt64, size: UInt64, isAcknowledged: Bool) {
    self.opcode = opcode
    self.address = address
    self.size = size
    self.isAcknowledged = isAcknowledged
  }

  /// Reads ``length`` bytes. Every content has a meaning: opcodes that are not known count as reads, as they do at
  /// other servers, and the padding is not looked at.
  public init(decoding bytes: UnsafeRawPointer) {
    size = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
    address = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    let code = bytes.load(fromByteOffset: 16, as: UInt8.self)
    isAcknowledged = code & Self.acknowledgedFlag != 0
    opcode = Opcode(rawValue: code & ~Self.acknowledgedFlag) ?? .read
  }

  /// Writes ``length`` bytes.
  public func encode(into bytes: UnsafeMutableRawPointer) {
    bytes.storeBytes(of: size.littleEndian, as: UInt64.self)
    bytes.storeBytes(of: address.littleEndian, toByteOffset: 8, as: UInt64.self)
    // One store for the opcode and its padding, so that nothing of our memory gets out.
    let code = UInt64(opcode.rawValue | (isAcknowledged ? Self.acknowledgedFlag : 0))
    bytes.storeBytes(of: code.littleEndian, toByteOffset: 16, as: UInt64.self)
  }

  /// The bytes as they go on the wire.
  public var encoded: [UInt8] {
    var bytes = [UInt8](repeating: 0, count: Self.length)
    bytes.withUnsafeMutableBytes { if let base = $0.baseAddress { encode(into: base) } }
    return bytes
  }
}
