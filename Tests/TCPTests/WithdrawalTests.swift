internal import Dispatch
internal import Glibc
internal import Logging
internal import Memory
internal import TestSupport
internal import Testing
internal import Topology
internal import Wire

@testable internal import TransferEngine

/// Withdrawing a buffer that a slow client is in the middle of.
@Suite("TCP: withdrawal under a slow client", .serialized)
struct WithdrawalTests {
  /// More than two sockets take, so that the server stands in the middle of it.
  private static let length = 32 << 20

  /// A listener of this process, with one buffer that holds pattern 70.
  private final class Host: @unchecked Sendable {
    let registry: LocalRegistry
    let server: TCPServer
    let buffer: HostBuffer
    var address: UInt64 { UInt64(UInt(bitPattern: buffer.baseAddress)) }

    init(patience: UInt64) throws {
      let logger = Logger(label: "host")
      registry = LocalRegistry(
        progress: Progress(rails: []), topology: LiveTopology(Topology()),
        limits: LocalRegistry.Limits(
          maximumRegionSize: 1 << 40, nearNICsOnly: false, inParallel: nil, withdrawalPatience: patience),
        logger: logger)
      buffer = try HostBuffer(length: WithdrawalTests.length)
      server = try TCPServer(
        registry: registry, incarnation: "host", options: TCPOptions([:]), ports: 20_000...32_000,
        logger: logger)
      fill(70)
      try registry.register(
        [BufferEntry(buffer.baseAddress, length: buffer.length)], location: "cpu:0", access: .readWrite)
    }

    deinit {
      server.close()
      _ = server.awaitEnd(until: Clock.now + 5_000_000_000)
    }

    func fill(_ seed: UInt64) {
      PatternFill.fill(UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: buffer.length), seed: seed)
    }

    func mismatch(_ seed: UInt64) -> Int? {
      PatternFill.firstMismatch(UnsafeRawBufferPointer(start: buffer.baseAddress, count: buffer.length), seed: seed)
    }

    func unregister() throws { try registry.unregister(UInt(bitPattern: buffer.baseAddress)) }

    /// Withdraws the buffer on a thread of its own, and writes pattern 71 to it as soon as that is done. Signals once
    /// before that and once after it.
    func withdraw() -> DispatchSemaphore {
      let done = DispatchSemaphore(value: 0)
      DispatchQueue.global().async { [self] in
        do {
          try unregister()
          done.signal()
          fill(71)
        } catch {
          Issue.record("\(error)")
        }
        done.signal()
      }
      return done
    }
  }

  @Test("a reader gets the bytes as they were; the withdrawal waits for it")
  func reader() throws {
    let host = try Host(patience: 60_000_000_000)
    let client = try RawConnection(port: host.server.port)
    client.request(.read, host.address, UInt64(Self.length))
    #expect(client.status() == .ok)
    var bytes = client.receive(1 << 20)
    let done = host.withdraw()
    // Whoever does not wait is done long before.
    #expect(done.wait(timeout: .now() + .milliseconds(700)) == .timedOut)
    // Nobody else gets hold of it meanwhile.
    let other = try RawConnection(port: host.server.port)
    other.request(.read, host.address, 8)
    #expect(other.status() == .rejected)
    while bytes.count < Self.length {
      let more = client.receive(min(1 << 20, Self.length - bytes.count))
      guard !more.isEmpty else { break }
      bytes += more
    }
    #expect(bytes.count == Self.length)
    for _ in 0..<2 { #expect(done.wait(timeout: .now() + .seconds(30)) == .success) }
    #expect(bytes.withUnsafeBytes { PatternFill.firstMismatch($0, seed: 70) } == nil)
  }

  @Test("a writer that goes away in the middle lets the withdrawal go on, and nothing is written after it")
  func writer() throws {
    let host = try Host(patience: 60_000_000_000)
    let client = try RawConnection(port: host.server.port)
    client.request(.write, host.address, UInt64(Self.length), payload: [UInt8](repeating: 7, count: 1 << 20))
    // Until the first of it has arrived.
    let hasBegun = (0..<100).contains { _ in
      usleep(10_000)
      return host.mismatch(70) != nil
    }
    #expect(hasBegun)
    let done = host.withdraw()
    #expect(done.wait(timeout: .now() + .milliseconds(700)) == .timedOut)
    client.send([UInt8](repeating: 7, count: 1 << 20))
    client.finish()
    for _ in 0..<2 { #expect(done.wait(timeout: .now() + .seconds(30)) == .success) }
    #expect(client.isClosedByPeer)
    #expect(host.mismatch(71) == nil)
  }

  @Test("a client that stands still costs the withdrawal its patience; the buffer stays, and goes at the next attempt")
  func patience() throws {
    let host = try Host(patience: 300_000_000)
    do {
      let client = try RawConnection(port: host.server.port)
      client.request(.read, host.address, UInt64(Self.length))
      #expect(client.status() == .ok)
      do {
        try host.unregister()
        Issue.record("it was withdrawn under a client")
      } catch let error as TransferError {
        #expect(error.code == .busy, "\(error)")
      }
      let other = try RawConnection(port: host.server.port)
      other.request(.read, host.address, 8)
      #expect(other.status() == .ok)
    }
    // The connections are closed now; the server may need a moment to see it.
    var isGone = false
    for _ in 0..<50 where !isGone {
      do {
        try host.unregister()
        isGone = true
      } catch let error as TransferError {
        #expect(error.code == .busy)
      }
    }
    #expect(isGone)
  }
}
