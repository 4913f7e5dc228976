internal import Glibc
internal import Logging
internal import Memory
internal import TestSupport
internal import Testing
internal import Wire

@testable internal import TransferEngine

@Suite("Same host: what goes another way, and who is not let in", .serialized)
struct FallbackTests {
  private static let length = 1 << 20

  /// Moves the buffer there and back, and compares.
  private func exchange(_ engine: TransferEngine, _ buffer: borrowing HostBuffer, _ peer: PeerProcess) throws {
    let segment = try engine.openSegment(peer.name)
    func move(_ opcode: TransferOpcode) throws -> TransferStatus {
      let batch = try engine.allocateBatch(capacity: 1)
      try engine.submit(
        [
          TransferRequest(
            opcode, local: buffer.baseAddress, target: segment, remote: peer.address, length: Self.length)
        ], to: batch)
      defer { try? engine.freeBatch(batch) }
      return try engine.wait(for: batch, timeout: .seconds(60))
    }
    PatternFill.fill(buffer.bytes, seed: 50)
    #expect(try move(.write).state == .completed)
    #expect(try peer.mismatch(seed: 50, length: Self.length) == nil)
    try peer.fill(seed: 51, length: Self.length)
    #expect(try move(.read).state == .completed)
    #expect(PatternFill.firstMismatch(UnsafeRawBufferPointer(buffer.bytes), seed: 51) == nil)
  }

  /// That `peer` is reached over TCP, and not within the host.
  private func expectTCP(_ peer: PeerProcess, _ environment: [String: String] = [:]) throws {
    let engine = try Neighbours.engine(environment)
    defer { engine.shutdown() }
    let buffer = try HostBuffer(length: Self.length)
    try engine.register(buffer.baseAddress, length: Self.length)
    try exchange(engine, buffer, peer)
    #expect(engine.sameHostStatistics ?? SameHostStatistics() == SameHostStatistics())
    #expect(engine.tcpStatistics?.initiated.bytes == UInt64(2 * Self.length))
  }

  @Test("turned off here, or there, or by MC_FORCE_TCP")
  func turnedOff() throws {
    let peer = try PeerProcess(neighbour: Self.length)
    try expectTCP(peer, ["MOONRAIL_SAME_HOST": "0"])
    try expectTCP(peer, ["MC_FORCE_TCP": "1"])
    try expectTCP(try PeerProcess(neighbour: Self.length, environment: ["MOONRAIL_SAME_HOST": "0"]))
  }

  @Test("a peer in another PID namespace, which has no number here or cannot look here")
  func otherNamespace() throws {
    let user = geteuid() == 0 ? [] : ["--user", "--map-root-user"]
    let peer = try PeerProcess(
      neighbour: Self.length, launcher: ["/usr/bin/unshare"] + user + ["--pid", "--fork", "--kill-child"])
    try expectTCP(peer)
  }

  @Test("a peer of another user", .enabled(if: geteuid() == 0, "only root can start one"))
  func otherUser() throws {
    let peer = try PeerProcess(neighbour: Self.length, user: 65_534)
    try expectTCP(peer)
    let engine = try Neighbours.engine()
    defer { engine.shutdown() }
    let incarnation = try #require(try engine.segments.fetch(peer.name).snapshot.header.incarnation)
    #expect(try obstacle(incarnation) == "it belongs to user 65534, this process to 0")
  }

  @Test("a request that cannot be copied takes TCP, and the others of its batch do not")
  func mixedBatch() throws {
    let pair = try Neighbours(.copied, isRegistered: false)
    let half = 8 << 20
    // Across the seam of two registrations is nowhere within the host.
    try pair.engine.register(pair.buffer.baseAddress, length: half)
    try pair.engine.register(pair.buffer.baseAddress + half, length: half)
    pair.fill(60, 2 * half)
    try pair.peer.fill(seed: 61, length: 2 * half)
    let block = 100_000
    let offsets = [0, half - 50_000, 2 * block, half + block, half - 2 * block, half - 10, 4 * block]
    let batch = try pair.submit(offsets.map { pair.request(.write, $0, $0 == half - 10 ? 20 : block) })
    #expect(try pair.engine.wait(for: batch, timeout: .seconds(60)).state == .completed)
    for (task, offset) in offsets.enumerated() {
      let length = offset == half - 10 ? 20 : block
      #expect(
        try pair.engine.status(of: batch, task: task) == TransferStatus(.completed, transferredBytes: UInt64(length)))
      #expect(try pair.peer.mismatch(seed: 60, offset: offset, length: length, patternOffset: offset) == nil)
    }
    try pair.engine.freeBatch(batch)
    #expect(pair.moved == UInt64(5 * block))
    #expect(pair.streamed == UInt64(block + 20))
    #expect(try pair.peer.mismatch(seed: 61, offset: block, length: block, patternOffset: block) == nil)
  }

  @Test("what may only be read is not written to; what nobody may have is not there", arguments: Path.allCases)
  func access(_ path: Path) throws {
    let readOnly = try Neighbours(path, length: Self.length, access: "readOnly")
    try readOnly.peer.fill(seed: 70, length: Self.length)
    #expect(try readOnly.move([readOnly.request(.read, 0, Self.length)]).state == .completed)
    #expect(readOnly.mismatch(70, Self.length) == nil)
    #expect(readOnly.moved == UInt64(Self.length))
    readOnly.fill(71, Self.length)
    #expect(try readOnly.move([readOnly.request(.write, 0, Self.length)]).state == .failed)
    #expect(try readOnly.peer.mismatch(seed: 70, length: Self.length) == nil)

    let none = try Neighbours(path, length: Self.length, access: "none")
    #expect(code { _ = try none.move([none.request(.read, 0, 1)]) } == .metadata)
    #expect(none.moved == 0)
  }

  @Test("memory that is not there, on this side: the request fails, and the others do not")
  func unmapped() throws {
    var configuration = Configuration(
      localServerName: "127.0.0.1", transports: [.tcp], environment: ["MOONRAIL_SAME_HOST": "1"])
    configuration.acceptsUnregisteredMemory = true
    let engine = try TransferEngine(configuration)
    defer { engine.shutdown() }
    let peer = try PeerProcess(neighbour: Self.length, isShareable: true)
    let segment = try engine.openSegment(peer.name)
    let buffer = try HostBuffer(length: 8192)
    PatternFill.fill(buffer.bytes, seed: 72)
    let hole = try #require(mmap(nil, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))
    defer { munmap(hole, 8192) }
    let requests = [buffer.baseAddress, hole, buffer.baseAddress + 4096].enumerated().map { index, local in
      TransferRequest(
        .write, local: local, target: segment, remote: peer.address + UInt64(index * 4096), length: 4096)
    }
    try peer.fill(seed: 73, length: Self.length)
    let batch = try engine.allocateBatch(capacity: 3)
    try engine.submit(requests, to: batch)
    #expect(try engine.wait(for: batch, timeout: .seconds(30)).state == .failed)
    let states = try (0..<3).map { try engine.status(of: batch, task: $0).state }
    #expect(states == [.completed, .failed, .completed])
    try engine.freeBatch(batch)
    #expect(try peer.mismatch(seed: 72, length: 4096) == nil)
    #expect(try peer.mismatch(seed: 73, offset: 4096, length: 4096, patternOffset: 4096) == nil)
    #expect(try peer.mismatch(seed: 72, offset: 8192, length: 4096, patternOffset: 4096) == nil)
    #expect(try eventually { try engine.segments.segment(segment).current.neighbour?.isReachable == true })
  }

  // MARK: Strangers

  private func obstacle(_ incarnation: String) throws -> String? {
    do {
      _ = try Neighbour.meet(incarnation, name: "stranger", guardPage: try GuardPage(), log: Logger(label: "test"))
      return nil
    } catch let error as Neighbour.Obstacle {
      return error.text
    }
  }

  @Test("somebody else on an engine's socket is not taken for it")
  func strangerThere() throws {
    let stranger = try PeerProcess(neighbour: 4096)
    func listen(_ reply: [UInt8], _ files: [Int] = []) throws -> String {
      let incarnation = PeerLife.newIncarnation()
      let hex = reply.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
      let words = ["stranger", HostIdentity.socketName(incarnation), hex.isEmpty ? "-" : hex] + files.map { "\($0)" }
      #expect(try stranger.ask(words.joined(separator: " ")) == "ok")
      return incarnation
    }
    #expect(try obstacle(PeerLife.newIncarnation())?.hasPrefix("connecting to its socket") == true)
    #expect(try obstacle(try listen([1, 2, 3])) == "it does not answer as an engine does")
    // In all else as it should be, but without the page that it speaks of.
    let welcome = NeighbourMessages.bytes(
      of: NeighbourMessages.Welcome(guardAddress: 0x1234_5678_9000, token: (1, 2)))
    let files = [BoardLayout.length, Slots.length]
    #expect(try obstacle(try listen(welcome, files))?.hasPrefix("process_vm_readv:") == true)
    #expect(try obstacle(try listen(welcome, [4096, 4096])) == "it gives no reason")
    #expect(try obstacle(try listen(welcome)) == "it gives no reason")
    let start = ContinuousClock.now
    #expect(try obstacle(try listen([]))?.hasPrefix("it does not answer:") == true)
    #expect(ContinuousClock.now - start < .seconds(20))
  }

  @Test("whoever is not a neighbour costs an engine a connection, and nothing else")
  func strangerHere() throws {
    let pair = try Neighbours(.copied, length: Self.length)
    let incarnation = try #require(
      try pair.engine.segments.segment(pair.segment).current.snapshot.header.incarnation)
    let (address, length) = try #require(HostIdentity.address(incarnation))
    func say(_ bytes: [UInt8]) throws -> [UInt8] {
      var address = address
      let socket = socket(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue), 0)
      defer { close(socket) }
      let result = withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(socket, $0, length) }
      }
      #expect(result == 0)
      #expect(send(socket, bytes, bytes.count, 0) == bytes.count)
      var limit = timeval(tv_sec: 30, tv_usec: 0)
      setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
      var reply = [UInt8](repeating: 0, count: 256)
      let count = recv(socket, &reply, reply.count, 0)
      #expect(count >= 0)
      return Array(reply[0..<max(0, count)])
    }
    func refusal(_ hello: NeighbourMessages.Hello) throws -> UInt32? {
      NeighbourMessages.decode(
        try say(NeighbourMessages.bytes(of: hello)), as: NeighbourMessages.Welcome.self)?.refusal
    }
    #expect(try say([1, 2, 3]) == [])
    #expect(try say([UInt8](repeating: 0xff, count: 100_000)) == [])
    let page = try GuardPage()
    func hello(_ life: String, _ token: (UInt64, UInt64)) -> NeighbourMessages.Hello {
      NeighbourMessages.Hello(
        life: NeighbourMessages.Life(life), guardAddress: UInt64(page.address), token: token)
    }
    #expect(try refusal(hello(PeerLife.newIncarnation(), page.token)) == NeighbourMessages.Refusal.otherLife.rawValue)
    #expect(try refusal(hello(incarnation, (1, 2))) == NeighbourMessages.Refusal.unreachable.rawValue)
    #expect(try refusal(hello(incarnation, page.token)) == 0)
    pair.fill(80, Self.length)
    #expect(try pair.move([pair.request(.write, 0, Self.length)]).state == .completed)
    #expect(try pair.peer.mismatch(seed: 80, length: Self.length) == nil)
    #expect(pair.moved == UInt64(Self.length))
  }

  @Test("a neighbour that does not answer is given up in time")
  func silent() throws {
    let pair = try Neighbours(.copied, length: 4096)
    let incarnation = try #require(
      try pair.engine.segments.segment(pair.segment).current.snapshot.header.incarnation)
    pair.peer.suspend()
    defer { pair.peer.resume() }
    let start = ContinuousClock.now
    #expect(try obstacle(incarnation)?.hasPrefix("it does not answer:") == true)
    #expect(ContinuousClock.now - start < .seconds(20))
  }

  @Test("the descriptor tells the host, and peers that do not know of it read it as ever")
  func descriptor() throws {
    let engine = try Neighbours.engine()
    defer { engine.shutdown() }
    let descriptor = engine.publisher.descriptor()
    #expect(descriptor.host == HostIdentity.current)
    #expect(descriptor.host != nil)
    #expect(try SegmentDescriptor(decoding: descriptor.encoded()).host == descriptor.host)
    var plain = descriptor
    plain.host = nil
    let text = String(decoding: plain.encoded(), as: UTF8.self)
    #expect(!text.contains("moonrail_host"))
    #expect(try SegmentDescriptor(decoding: plain.encoded()).host == nil)
  }
}
