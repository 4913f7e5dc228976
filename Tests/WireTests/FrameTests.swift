import Testing

@testable import Wire

@Suite("Handshake frames")
struct FrameTests {
  private func decode(_ bytes: [UInt8], maximum: Int = 1 << 20) throws -> HandshakeFrame? {
    var decoder = HandshakeFrameDecoder(maximumLength: maximum)
    decoder.push(bytes)
    return try decoder.next()
  }

  private func header(_ length: UInt64) -> [UInt8] { (0..<8).map { UInt8(truncatingIfNeeded: length >> ($0 * 8)) } }

  @Test("every type survives a round trip", arguments: HandshakeMessageType.allCases)
  func roundTrip(type: HandshakeMessageType) throws {
    let frame = HandshakeFrame(type: type, body: Array("{}".utf8))
    #expect(frame.encoded() == [3, 0, 0, 0, 0, 0, 0, 0, type.rawValue, 0x7B, 0x7D])
    #expect(try decode(frame.encoded()) == frame)
  }

  @Test("a length whose first bytes look like TLS is a length")
  func length790() throws {
    let frame = HandshakeFrame(type: .metadata, body: Array(repeating: 0x20, count: 789))
    let bytes = frame.encoded()
    #expect(bytes.prefix(3) == [0x16, 0x03, 0x00])
    #expect(try decode(bytes) == frame)
  }

  @Test("the old form without a type byte keeps its first byte", arguments: ["{}", "[]", "\"\"", " {}", "null", "\n"])
  func oldForm(body: String) throws {
    let frame = HandshakeFrame(type: nil, body: Array(body.utf8))
    #expect(frame.encoded().count == 8 + body.utf8.count)
    #expect(try decode(frame.encoded()) == frame)
  }

  @Test("bytes may come one at a time, and nothing comes out before the last one")
  func byteByByte() throws {
    let frame = HandshakeFrame(type: .notify, body: Array("{\"name\":\"a\"}".utf8))
    var decoder = HandshakeFrameDecoder(maximumLength: 64)
    let bytes = frame.encoded()
    for byte in bytes.dropLast() {
      decoder.push([byte])
      #expect(try decoder.next() == nil)
    }
    decoder.push(bytes.suffix(1))
    #expect(try decoder.next() == frame)
    #expect(decoder.pendingByteCount == 0)
  }

  @Test("two frames in one push come out one after the other")
  func twoFrames() throws {
    let first = HandshakeFrame(type: .probe, body: Array("{}".utf8))
    let second = HandshakeFrame(type: .metadata, body: Array("{}".utf8))
    var decoder = HandshakeFrameDecoder(maximumLength: 64)
    decoder.push(first.encoded() + second.encoded())
    #expect(try decoder.next() == first)
    #expect(try decoder.next() == second)
    #expect(try decoder.next() == nil)
  }

  @Test("an HTTP request and a TLS hello are refused by their length")
  func otherProtocols() {
    let hello: [UInt8] = [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xFC, 0x03, 0x03]
    for bytes in [Array("GET / HTTP/1.1\r\n\r\n".utf8), hello] {
      #expect(throws: WireError.self) { try decode(bytes) }
      do { _ = try decode(bytes) } catch { #expect((error as? WireError)?.code == .oversizedFrame) }
    }
  }

  @Test("zero, one above the limit, and the largest number are refused; the limit itself is not")
  func lengths() throws {
    func code(_ length: UInt64) -> WireError.Code? {
      do { _ = try decode(header(length), maximum: 100) } catch { return (error as? WireError)?.code }
      return nil
    }
    #expect(code(0) == .emptyFrame)
    #expect(code(100) == nil)
    #expect(code(101) == .oversizedFrame)
    #expect(code(.max) == .oversizedFrame)
    #expect(
      try decode(HandshakeFrame(type: .probe, body: Array(repeating: 32, count: 99)).encoded(), maximum: 100) != nil)
  }

  @Test(
    "a first byte that is no type and no JSON is refused before the body comes", arguments: [4, 0x41, 0x80, 0xFE, 0xFF])
  func unexpectedType(byte: UInt8) {
    do {
      _ = try decode(header(100) + [byte])
      Issue.record("byte \(byte) was accepted")
    } catch {
      #expect((error as? WireError)?.code == .unexpectedType)
    }
  }

  @Test("a limit without limits does not overflow")
  func noLimit() throws {
    var decoder = HandshakeFrameDecoder(maximumLength: .max)
    decoder.push(header(UInt64(Int.max)) + [0])
    #expect(throws: WireError.self) { try decoder.next() }
  }

  @Test("after an error nothing is held, and the error stays")
  func afterError() {
    var decoder = HandshakeFrameDecoder(maximumLength: 100)
    decoder.push(header(5000))
    #expect(decoder.pendingByteCount == 0)
    decoder.push(Array(repeating: 0x20, count: 5000))
    #expect(decoder.pendingByteCount == 0)
    #expect(throws: WireError.self) { try decoder.next() }
    #expect(throws: WireError.self) { try decoder.next() }
  }
}
