import Testing

@testable import Wire

@Suite("TCP data framing")
struct TCPFramingTests {
  private func decode(_ bytes: [UInt8]) throws -> TCPRequestHeader {
    try bytes.withUnsafeBytes { TCPRequestHeader(decoding: try #require($0.baseAddress)) }
  }

  private func decodeStatus(_ bytes: [UInt8]) throws -> TCPStatusFrame? {
    try bytes.withUnsafeBytes { TCPStatusFrame(decoding: try #require($0.baseAddress)) }
  }

  @Test(
    "the header is these 24 bytes, its padding zero",
    arguments: [
      (TCPRequestHeader.Opcode.read, false, UInt8(0x00)), (.write, false, 0x01), (.read, true, 0x80),
      (.write, true, 0x81),
    ])
  func header(opcode: TCPRequestHeader.Opcode, isAcknowledged: Bool, code: UInt8) throws {
    let header = TCPRequestHeader(
      opcode, address: 0x1122_3344_5566_7788, size: 0x0102_0304_0506_0708, isAcknowledged: isAcknowledged)
    let bytes: [UInt8] = [
      8, 7, 6, 5, 4, 3, 2, 1, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, code, 0, 0, 0, 0, 0, 0, 0,
    ]
    #expect(header.encoded == bytes)
    #expect(try decode(bytes) == header)
  }

  @Test("encoding leaves nothing of what was in the memory before")
  func padding() throws {
    var bytes = [UInt8](repeating: 0xff, count: 32)
    try bytes.withUnsafeMutableBytes {
      let header = TCPRequestHeader(.write, address: 0, size: 0, isAcknowledged: false)
      header.encode(into: try #require($0.baseAddress))
    }
    let header: [UInt8] = Array(repeating: 0, count: 16) + [1] + Array(repeating: 0, count: 7)
    #expect(bytes == header + Array(repeating: 0xff, count: 8))
  }

  @Test("padding means nothing, and opcodes that nobody knows are reads", arguments: 0...UInt8.max)
  func tolerance(code: UInt8) throws {
    let bytes = [UInt8](repeating: 0, count: 16) + [code] + [UInt8](repeating: 0xff, count: 7)
    let header = try decode(bytes)
    #expect(header.isAcknowledged == (code >= 0x80))
    #expect(header.opcode == (code & 0x7f == 1 ? .write : .read))
  }

  @Test(
    "the status frames are these bytes",
    arguments: [
      (TCPStatusFrame.ok, [UInt8]([0, 0, 0, 0, 0x56, 0x54, 0x43, 0x4d])),
      (.rejected, [1, 0, 0, 0, 0x56, 0x54, 0x43, 0x4d]),
      (.sameLife, [1, 0, 0x52, 0x4d, 0x56, 0x54, 0x43, 0x4d]),
      (.otherLife, [2, 0, 0x52, 0x4d, 0x56, 0x54, 0x43, 0x4d]),
    ])
  func status(frame: TCPStatusFrame, bytes: [UInt8]) throws {
    var encoded = [UInt8](repeating: 0, count: 8)
    try encoded.withUnsafeMutableBytes { frame.encode(into: try #require($0.baseAddress)) }
    #expect(encoded == bytes)
    #expect(try decodeStatus(bytes) == frame)
  }

  private func decodeHello(_ bytes: [UInt8]) throws -> TCPHello? {
    try bytes.withUnsafeBytes { TCPHello(decoding: try #require($0.baseAddress)) }
  }

  @Test("the hello is these 24 bytes, and whatever its padding is")
  func hello() throws {
    // FNV-1a of "a", from its authors' table.
    let hello = TCPHello(incarnation: "a")
    #expect(hello.fingerprint == 0xaf63_dc4c_8601_ec8c)
    #expect(TCPHello(incarnation: "b") != hello)
    var bytes: [UInt8] = [
      0, 0, 0, 0, 0, 0, 0, 0, 0x8c, 0xec, 0x01, 0x86, 0x4c, 0xdc, 0x63, 0xaf, 0xc8, 0, 0, 0, 0, 0, 0, 0,
    ]
    #expect(hello.encoded == bytes)
    #expect(try decodeHello(bytes) == hello)
    bytes.replaceSubrange(17..<24, with: [UInt8](repeating: 0xff, count: 7))
    #expect(try decodeHello(bytes) == hello)
    // To a server that does not know it, it is a request for nothing, which is refused.
    let request = try decode(bytes)
    #expect(request.opcode == .read && request.size == 0 && request.isAcknowledged)
  }

  @Test("a request that moves something is no hello, whatever its code", arguments: 0...UInt8.max)
  func noHello(code: UInt8) throws {
    let request = [UInt8]([1]) + [UInt8](repeating: 0, count: 15) + [code] + [UInt8](repeating: 0, count: 7)
    #expect(try decodeHello(request) == nil)
    let empty = [UInt8](repeating: 0, count: 16) + [code] + [UInt8](repeating: 0, count: 7)
    #expect(try (decodeHello(empty) != nil) == (code == 0xc8))
  }

  @Test("eight bytes without the magic are no status frame", arguments: 4..<8)
  func foreign(position: Int) throws {
    var bytes: [UInt8] = [0, 0, 0, 0, 0x56, 0x54, 0x43, 0x4d]
    bytes[position] ^= 1
    #expect(try decodeStatus(bytes) == nil)
  }
}
