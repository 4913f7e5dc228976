internal import Glibc
internal import Memory
internal import TestSupport
internal import Testing

@testable internal import TransferEngine

/// An engine in this process, with a buffer, and another one in a process of its own.
final class Pair {
  let engine: TransferEngine
  let buffer: HostBuffer
  let peer: PeerProcess
  let segment: SegmentID

  init(
    host: String = "127.0.0.1", length: Int = 16 << 20, access: String = "readWrite",
    environment: [String: String] = [:]
  ) throws {
    let isIPv6 = host.hasPrefix("[") ? ["MC_USE_IPV6": "1"] : [:]
    engine = try TransferEngine(
      Configuration(
        localServerName: host, transports: [.tcp], environment: environment.merging(isIPv6) { $1 }))
    buffer = try HostBuffer(length: length)
    try engine.register(buffer.baseAddress, length: length)
    peer = try PeerProcess(tcp: host, bufferLength: length, access: access, environment: isIPv6)
    segment = try engine.openSegment(peer.name)
  }

  deinit { engine.shutdown() }

  func fill(_ seed: UInt64, _ count: Int) {
    PatternFill.fill(UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: count), seed: seed)
  }

  func mismatch(_ seed: UInt64, _ count: Int) -> Int? {
    PatternFill.firstMismatch(UnsafeRawBufferPointer(start: buffer.baseAddress, count: count), seed: seed)
  }

  /// `count` blocks, one after the other, as one batch.
  func submit(_ opcode: TransferOpcode, block: Int, count: Int) throws -> BatchID {
    let batch = try engine.allocateBatch(capacity: count)
    let requests = (0..<count).map { index in
      TransferRequest(
        opcode, local: buffer.baseAddress + index * block, target: segment,
        remote: peer.address + UInt64(index * block), length: block)
    }
    try engine.submit(requests, to: batch)
    return batch
  }

  func move(_ opcode: TransferOpcode, block: Int, count: Int) throws -> TransferStatus {
    let batch = try submit(opcode, block: block, count: count)
    let status = try engine.wait(for: batch, timeout: .seconds(90))
    try engine.freeBatch(batch)
    return status
  }

  /// Writes a pattern, has the peer look at it, has it make another, reads that, and looks at it.
  func exchange(block: Int, count: Int) throws {
    let total = block * count
    let done = TransferStatus(.completed, transferredBytes: UInt64(total))
    fill(11, total)
    #expect(try peer.ask("fill 12 0 \(total)") == "ok")
    #expect(try move(.write, block: block, count: count) == done)
    #expect(try peer.ask("check 11 0 \(total)") == "ok")
    #expect(try peer.ask("fill 13 0 \(total)") == "ok")
    #expect(try move(.read, block: block, count: count) == done)
    #expect(mismatch(13, total) == nil)
  }

  /// The peer's data listener.
  var stream: TCPPeer {
    get throws {
      guard case .stream(let stream) = try engine.segments.segment(segment).current.route else {
        throw PeerProcess.Failure("the segment is not reached over TCP")
      }
      return stream
    }
  }
}
