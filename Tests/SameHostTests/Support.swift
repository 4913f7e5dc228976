internal import Glibc
internal import Logging
internal import Memory
internal import TestSupport
internal import Testing
internal import Wire

@testable internal import TransferEngine

/// What the target's memory is, and so how it is reached.
enum Path: String, CaseIterable, CustomTestStringConvertible {
  case copied
  case mapped

  var testDescription: String { rawValue }
}

/// An engine in this process, with a buffer, and a peer in another one that it reaches within the host.
///
/// `@unchecked Sendable`: tests keep to ranges of the buffer of their own.
final class Neighbours: @unchecked Sendable {
  let engine: TransferEngine
  let buffer: HostBuffer
  let peer: PeerProcess
  let segment: SegmentID
  let path: Path

  init(
    _ path: Path, length: Int = 16 << 20, access: String = "readWrite", environment: [String: String] = [:],
    isRegistered: Bool = true
  ) throws {
    self.path = path
    engine = try Self.engine()
    buffer = try HostBuffer(length: length, isShareable: path == .mapped)
    if isRegistered { try engine.register(buffer.baseAddress, length: length) }
    peer = try PeerProcess(
      neighbour: length, isShareable: path == .mapped, access: access, environment: environment)
    segment = try engine.openSegment(peer.name)
    if path == .mapped, access != "none" {
      // The file comes a moment after the greeting.
      let isMapped = try eventually {
        try neighbour.view.entry(of: peer.address, length: 1, for: .read)?.pointee.mapped != nil
      }
      #expect(isMapped)
    }
  }

  deinit { engine.shutdown() }

  static func engine(_ environment: [String: String] = [:]) throws -> TransferEngine {
    try TransferEngine(
      Configuration(
        localServerName: "127.0.0.1", transports: [.tcp],
        environment: ["MOONRAIL_SAME_HOST": "1"].merging(environment) { $1 }))
  }

  /// The peer as this process has met it.
  var neighbour: Neighbour {
    get throws { try #require(try engine.segments.segment(segment).current.neighbour) }
  }

  func fill(_ seed: UInt64, offset: Int = 0, _ count: Int, patternOffset: Int = 0) {
    PatternFill.fill(
      UnsafeMutableRawBufferPointer(start: buffer.baseAddress + offset, count: count), seed: seed,
      offset: UInt64(patternOffset))
  }

  func mismatch(_ seed: UInt64, offset: Int = 0, _ count: Int, patternOffset: Int = 0) -> Int? {
    PatternFill.firstMismatch(
      UnsafeRawBufferPointer(start: buffer.baseAddress + offset, count: count), seed: seed,
      offset: UInt64(patternOffset))
  }

  func request(_ opcode: TransferOpcode, _ offset: Int, _ length: Int, remote: Int? = nil) -> TransferRequest {
    TransferRequest(
      opcode, local: buffer.baseAddress + offset, target: segment, remote: peer.address + UInt64(remote ?? offset),
      length: length)
  }

  func submit(_ requests: [TransferRequest]) throws -> BatchID {
    let batch = try engine.allocateBatch(capacity: requests.count)
    try engine.submit(requests, to: batch)
    return batch
  }

  func move(_ requests: [TransferRequest], within limit: Duration = .seconds(90)) throws -> TransferStatus {
    let batch = try submit(requests)
    let status = try engine.wait(for: batch, timeout: limit)
    try engine.freeBatch(batch)
    return status
  }

  /// What has gone the way that the test is about, so far.
  var moved: UInt64 {
    let statistics = engine.sameHostStatistics ?? SameHostStatistics()
    return path == .copied ? statistics.copiedBytes : statistics.mappedBytes
  }

  /// What has gone over TCP.
  var streamed: UInt64 { engine.tcpStatistics?.initiated.bytes ?? 0 }
}

/// Calls `isMet` until it is true, at most for `limit`. Returns whether it was.
func eventually(within limit: Duration = .seconds(30), _ isMet: () throws -> Bool) rethrows -> Bool {
  let deadline = ContinuousClock.now + limit
  while true {
    if try isMet() { return true }
    guard ContinuousClock.now < deadline else { return false }
    usleep(1000)
  }
}

/// The code of the error that `body` throws; nil if it throws none or another.
func code(_ body: () throws -> Void) -> TransferError.Code? {
  do {
    try body()
    return nil
  } catch {
    return (error as? TransferError)?.code
  }
}
