internal import Glibc
internal import Memory
internal import TestSupport
internal import Testing

@testable internal import TransferEngine

/// Memory of this side that nobody has registered, which upstream's clients get away with over TCP.
@Suite("TCP: memory that is not registered", .serialized)
struct UnregisteredTests {
  private static let length = 3 << 20

  /// An engine that takes such memory, with the middle third of a buffer registered, and a peer.
  private final class Scene {
    let engine: TransferEngine
    let buffer: HostBuffer
    let peer: PeerProcess
    let segment: SegmentID

    init(accepts: Bool) throws {
      var configuration = Configuration(localServerName: "127.0.0.1", transports: [.tcp], environment: [:])
      configuration.acceptsUnregisteredMemory = accepts
      engine = try TransferEngine(configuration)
      buffer = try HostBuffer(length: UnregisteredTests.length)
      try engine.register(buffer.baseAddress + UnregisteredTests.length / 3, length: UnregisteredTests.length / 3)
      peer = try PeerProcess(tcp: "127.0.0.1", bufferLength: UnregisteredTests.length)
      segment = try engine.openSegment(peer.name)
    }

    deinit { engine.shutdown() }

    func move(
      _ opcode: TransferOpcode, _ local: UnsafeMutableRawPointer, _ length: Int
    ) throws -> TransferStatus.State {
      let batch = try engine.allocateBatch(capacity: 1)
      defer { try? engine.freeBatch(batch) }
      try engine.submit(
        [TransferRequest(opcode, local: local, target: segment, remote: peer.address, length: length)], to: batch)
      return try engine.wait(for: batch, timeout: .seconds(60)).state
    }
  }

  @Test("a request that begins before a registration and ends behind it arrives whole, in both directions")
  func around() throws {
    let scene = try Scene(accepts: true)
    let bytes = UnsafeMutableRawBufferPointer(start: scene.buffer.baseAddress, count: Self.length)
    PatternFill.fill(bytes, seed: 71)
    #expect(try scene.move(.write, scene.buffer.baseAddress, Self.length) == .completed)
    #expect(try scene.peer.mismatch(seed: 71, length: Self.length) == nil)
    #expect(try scene.peer.ask("fill 72 0 \(Self.length)") == "ok")
    #expect(try scene.move(.read, scene.buffer.baseAddress, Self.length) == .completed)
    #expect(PatternFill.firstMismatch(UnsafeRawBufferPointer(bytes), seed: 72) == nil)
  }

  @Test("where there is no memory at all, the transfer fails, and the next one does not")
  func nothingThere() throws {
    let scene = try Scene(accepts: true)
    let nothing = try #require(UnsafeMutableRawPointer(bitPattern: 4096))
    #expect(try scene.move(.write, nothing, 64) == .failed)
    #expect(try scene.move(.read, nothing, 64) == .failed)
    #expect(try scene.move(.write, scene.buffer.baseAddress, 64) == .completed)
  }

  @Test("what would go beyond the last address is refused before anything moves")
  func beyondTheLastAddress() throws {
    let scene = try Scene(accepts: true)
    for address in [UInt.max, UInt.max - 7, UInt.max - 64] {
      let end = try #require(UnsafeMutableRawPointer(bitPattern: address))
      for opcode in [TransferOpcode.write, .read] {
        do {
          _ = try scene.move(opcode, end, 64)
          Issue.record("0x\(String(address, radix: 16)) was taken")
        } catch let error as TransferError {
          #expect(error.code == .invalidArgument, "\(error)")
        }
      }
    }
    let last = try #require(UnsafeMutableRawPointer(bitPattern: UInt.max - 65))
    #expect(try scene.move(.write, last, 64) == .failed)
    #expect(try scene.move(.write, scene.buffer.baseAddress, 64) == .completed)
  }

  @Test("without the setting it is refused before anything moves")
  func refused() throws {
    let scene = try Scene(accepts: false)
    do {
      _ = try scene.move(.write, scene.buffer.baseAddress, Self.length)
      Issue.record("unregistered memory was taken")
    } catch let error as TransferError {
      #expect(error.code == .addressNotRegistered, "\(error)")
    }
  }

  @Test("peers see buffers in the order in which they were registered")
  func order() throws {
    let scene = try Scene(accepts: false)
    let (base, third) = (scene.buffer.baseAddress, Self.length / 3)
    try scene.engine.register(base + 2 * third, length: 64)
    try scene.engine.register(base, length: 64)
    let seen = try scene.engine.describe(.local).buffers.map(\.address)
    #expect(seen == [base + third, base + 2 * third, base].map { UInt64(UInt(bitPattern: $0)) })
  }
}
