import Testing

@testable import Wire

/// One request to write 16 bytes and one to read them back, of a build of either framing.
@Suite("TCP data connections as upstream uses them")
struct RecordedDataTests {
  private static let length = 16
  private static let builds: [Build] = [.tcp, .oldTCP]
  /// What the header says, without the seven bytes that say nothing: an older build sends what was in its memory.
  private static let meaning = 17

  @Test("requests are what ours would be", arguments: builds, [TCPRequestHeader.Opcode.write, .read])
  func request(build: Build, opcode: TCPRequestHeader.Opcode) throws {
    let recorded = try Recorded(build, "\(opcode)-request.data").bytes
    let payload = opcode == .write ? Self.length : 0
    try #require(recorded.count == TCPRequestHeader.length + payload)
    let header = try recorded.withUnsafeBytes { TCPRequestHeader(decoding: try #require($0.baseAddress)) }
    let target = try SegmentDescriptor(decoding: Recorded(build, "metadata-reply.frame").frame.body)
    let buffer = try #require(target.buffers.first)
    let ours = TCPRequestHeader(
      opcode, address: buffer.address, size: UInt64(Self.length), isAcknowledged: target.tcpProtocolVersion >= 2)
    #expect(header == ours)
    #expect(ours.encoded.prefix(Self.meaning) == recorded.prefix(Self.meaning))
  }

  @Test("an acknowledged write is answered by a status, a read by a status and the bytes that were written")
  func acknowledged() throws {
    let written = try Recorded(.tcp, "write-request.data").bytes.dropFirst(TCPRequestHeader.length)
    #expect(try Recorded(.tcp, "write-reply.data").bytes == encoded(.ok))
    #expect(try Recorded(.tcp, "read-reply.data").bytes == encoded(.ok) + written)
    #expect(try decoded(.tcp, "write-reply.data") == .ok)
    #expect(try decoded(.tcp, "read-reply.data") == .ok)
  }

  @Test("without acknowledgements a read is answered by the bytes alone")
  func unacknowledged() throws {
    let written = try Recorded(.oldTCP, "write-request.data").bytes.dropFirst(TCPRequestHeader.length)
    #expect(try Recorded(.oldTCP, "read-reply.data").bytes == Array(written))
    #expect(try decoded(.oldTCP, "read-reply.data") == nil)
  }

  @Test("a range that is not registered is refused by a status")
  func refusal() throws {
    #expect(try Recorded(.tcp, "refusal.data").bytes == encoded(.rejected))
    #expect(try decoded(.tcp, "refusal.data") == .rejected)
  }

  private func encoded(_ frame: TCPStatusFrame) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: TCPStatusFrame.length)
    try bytes.withUnsafeMutableBytes { frame.encode(into: try #require($0.baseAddress)) }
    return bytes
  }

  private func decoded(_ build: Build, _ name: String) throws -> TCPStatusFrame? {
    let bytes = try Recorded(build, name).bytes
    try #require(bytes.count >= TCPStatusFrame.length)
    return try bytes.withUnsafeBytes { TCPStatusFrame(decoding: try #require($0.baseAddress)) }
  }
}
