internal import Glibc
internal import TestSupport
internal import Testing
internal import Wire

@testable internal import TransferEngine

/// The peer's buffer lies between pages that nobody may touch, so a byte outside of it ends the process.
@Suite("TCP: a hostile client", .serialized)
struct HostileClientTests {
  private struct Generator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      var value = state
      value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
      value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
      return value ^ (value >> 31)
    }
  }

  private static let length = 1 << 20

  /// A pair whose peer's buffer holds pattern 40, and whose own client has been served.
  private func pair(access: String = "readWrite", environment: [String: String] = [:]) throws -> Pair {
    let pair = try Pair(length: Self.length, access: access, environment: environment)
    #expect(try pair.peer.ask("fill 40 0 \(Self.length)") == "ok")
    return pair
  }

  /// That the process lives, that its memory is as it was, and that it serves others.
  private func expectUnharmed(_ pair: Pair) throws {
    #expect(try pair.peer.ask("check 40 0 \(Self.length)") == "ok")
    #expect(try pair.move(.read, block: 1000, count: 10).state == .completed)
    #expect(pair.mismatch(40, 10_000) == nil)
  }

  @Test("ranges that are not inside the buffer are refused, in both framings")
  func ranges() throws {
    let pair = try pair()
    let port = try pair.stream.port
    let (start, end) = (pair.peer.address, pair.peer.address + UInt64(Self.length))
    let ranges: [(UInt64, UInt64)] = [
      (start - 1, 1), (start - 1, 2), (start - 4096, 8192), (end, 1), (end - 1, 2), (end - 4096, 8192),
      (start - 1, UInt64(Self.length) + 2), (start, UInt64(Self.length) + 1), (start, 0), (end, 0), (0, 0), (0, 1),
      (0, .max), (1, .max), (.max, 1), (.max, .max), (start, .max), (start, .max - start), (start, .max - start + 1),
      (start, .max - start + 2), (start, 1 << 63), (start, (1 << 63) - 1), (end - 1, .max - end + 2), (4096, 4096),
    ]
    for (address, size) in ranges {
      for opcode in [TCPRequestHeader.Opcode.read, .write] {
        let payload = opcode == .write ? [UInt8](repeating: 0xee, count: Int(min(size, 10_000))) : []
        let second = try RawConnection(port: port)
        second.request(opcode, address, size, payload: payload)
        #expect(second.status() == .rejected, "\(opcode) \(size) at \(address)")
        #expect(second.isClosedByPeer)
        let first = try RawConnection(port: port)
        first.request(opcode, address, size, acknowledged: false, payload: payload)
        #expect(first.isClosedByPeer, "\(opcode) \(size) at \(address)")
      }
    }
    try expectUnharmed(pair)
  }

  @Test("good requests work, one after the other and without waiting, and end with the first bad one")
  func pipelined() throws {
    let pair = try pair()
    let connection = try RawConnection(port: try pair.stream.port)
    let start = pair.peer.address
    var bytes: [UInt8] = []
    for index in 0..<10 {
      let header = TCPRequestHeader(.write, address: start + UInt64(index), size: 1, isAcknowledged: true)
      bytes += header.encoded + [UInt8(100 + index)]
    }
    bytes += TCPRequestHeader(.read, address: start, size: 10, isAcknowledged: true).encoded
    bytes += TCPRequestHeader(.read, address: start, size: 10, isAcknowledged: false).encoded
    bytes += TCPRequestHeader(.read, address: start - 1, size: 10, isAcknowledged: true).encoded
    bytes += TCPRequestHeader(.write, address: start, size: 1, isAcknowledged: true).encoded + [0]
    connection.send(bytes)
    for _ in 0..<11 { #expect(connection.status() == .ok) }
    let expected = (100..<110).map { UInt8($0) }
    #expect(connection.receive(10) == expected)
    #expect(connection.receive(10) == expected)
    #expect(connection.status() == .rejected)
    #expect(connection.isClosedByPeer)
    let again = try RawConnection(port: try pair.stream.port)
    again.request(.read, start, 1)
    #expect(again.status() == .ok)
    #expect(again.receive(1) == [100])
  }

  @Test("no answer waits for what its peer may send only after it", arguments: [100, 9000, 100_000])
  func answersInTime(size: Int) throws {
    let pair = try pair()
    let connection = try RawConnection(port: try pair.stream.port)
    let start = pair.peer.address
    let write = TCPRequestHeader(.write, address: start, size: UInt64(size), isAcknowledged: true).encoded
    let read = TCPRequestHeader(.read, address: start, size: 50, isAcknowledged: true).encoded
    let payload = [UInt8](repeating: 9, count: size)
    // With a part of the next header, and then with its rest and a part of its payload.
    connection.send(write + payload + write[..<10])
    #expect(connection.status() == .ok)
    connection.send(Array(write[10...]) + payload[..<(size / 2)])
    connection.send(Array(payload[(size / 2)...]) + read + write + payload[..<(size / 3)])
    #expect(connection.status() == .ok)
    #expect(connection.status() == .ok)
    #expect(connection.receive(50) == [UInt8](repeating: 9, count: 50))
    // What was served is answered, however the connection ends.
    connection.send(Array(payload[(size / 3)...]) + read)
    connection.finish()
    #expect(connection.status() == .ok)
    #expect(connection.status() == .ok)
    #expect(connection.receive(50) == [UInt8](repeating: 9, count: 50))
    #expect(connection.isClosedByPeer)
  }

  @Test("hundreds of requests of many sizes at once are answered one by one, in their order")
  func mixed() throws {
    let pair = try pair()
    let connection = try RawConnection(port: try pair.stream.port)
    var generator = Generator(state: 5)
    var bytes: [UInt8] = []
    var expected: [[UInt8]] = []
    for index in 0..<400 {
      let size = [1, 30, 1000, 9000, 20_000].randomElement(using: &generator) ?? 1
      let isAcknowledged = index % 7 != 3
      let mark = [UInt8](repeating: UInt8(truncatingIfNeeded: index), count: size)
      let status = isAcknowledged ? Self.ok : []
      for (opcode, payload) in [(TCPRequestHeader.Opcode.write, mark), (.read, [])] {
        let header = TCPRequestHeader(
          opcode, address: pair.peer.address, size: UInt64(size), isAcknowledged: isAcknowledged)
        bytes += header.encoded + payload
        expected.append(opcode == .write ? status : status + mark)
      }
    }
    let (requests, answers) = (bytes, expected)
    try onThreads(2) { thread in
      if thread == 0 { return connection.send(requests) }
      let wrong = answers.firstIndex { connection.receive($0.count) != $0 }
      #expect(wrong == nil)
    }
  }

  private static let ok: [UInt8] = {
    var bytes = [UInt8](repeating: 0, count: TCPStatusFrame.length)
    bytes.withUnsafeMutableBytes { if let base = $0.baseAddress { TCPStatusFrame.ok.encode(into: base) } }
    return bytes
  }()

  @Test("an opcode that nobody knows is a read")
  func unknownOpcode() throws {
    let pair = try pair()
    let connection = try RawConnection(port: try pair.stream.port)
    var header = TCPRequestHeader(.read, address: pair.peer.address, size: 16, isAcknowledged: true).encoded
    header[16] = 0x82
    header.replaceSubrange(17..<24, with: [UInt8](repeating: 0xff, count: 7))
    connection.send(header)
    #expect(connection.status() == .ok)
    #expect(connection.receive(16).count == 16)
    try expectUnharmed(pair)
  }

  @Test("a buffer registered for reading refuses writes, and one for nothing refuses both")
  func access() throws {
    let readOnly = try pair(access: "readOnly")
    let reader = try RawConnection(port: try readOnly.stream.port)
    reader.request(.read, readOnly.peer.address, 100)
    #expect(reader.status() == .ok)
    #expect(reader.receive(100).count == 100)
    reader.request(.write, readOnly.peer.address, 100, payload: [UInt8](repeating: 1, count: 100))
    #expect(reader.status() == .rejected)
    #expect(try readOnly.move(.write, block: 100, count: 1).state == .failed)
    try expectUnharmed(readOnly)

    let none = try pair(access: "none")
    for opcode in [TCPRequestHeader.Opcode.read, .write] {
      let connection = try RawConnection(port: try none.stream.port)
      connection.request(opcode, none.peer.address, 100, payload: [UInt8](repeating: 1, count: 100))
      #expect(connection.status() == .rejected)
    }
    #expect(try none.peer.ask("check 40 0 \(Self.length)") == "ok")
  }

  @Test("headers and payloads that break off cost their connection only")
  func truncated() throws {
    let pair = try pair()
    let port = try pair.stream.port
    let header = TCPRequestHeader(.read, address: pair.peer.address, size: 64, isAcknowledged: true).encoded
    for length in 0..<TCPRequestHeader.length {
      let connection = try RawConnection(port: port)
      connection.send(Array(header[..<length]))
      connection.finish()
      #expect(connection.isClosedByPeer)
    }
    // A write that never gets its bytes, and then loses its connection, must not keep the buffer.
    do {
      let connection = try RawConnection(port: port)
      connection.request(.write, pair.peer.address, UInt64(Self.length))
    }
    try expectUnharmed(pair)
    #expect(try pair.peer.ask("unregister") == "ok")
  }

  @Test("slow clients are served when they are done, and keep nobody waiting")
  func slow() throws {
    let pair = try pair()
    let port = try pair.stream.port
    let header = TCPRequestHeader(.read, address: pair.peer.address, size: 8, isAcknowledged: true).encoded
    let slow = try (0..<50).map { _ in try RawConnection(port: port) }
    for byte in header {
      for connection in slow { connection.send([byte]) }
      usleep(2000)
      if byte == 0 { #expect(try pair.move(.read, block: 1000, count: 1).state == .completed) }
    }
    for connection in slow {
      #expect(connection.status() == .ok)
      #expect(connection.receive(8).count == 8)
    }
    try expectUnharmed(pair)
  }

  @Test("random headers, near and far from the buffer", arguments: [1, 2, 3, 4] as [UInt64])
  func fuzzed(seed: UInt64) throws {
    let pair = try pair()
    let port = try pair.stream.port
    var random = Generator(state: seed)
    let (start, end) = (pair.peer.address, pair.peer.address + UInt64(Self.length))
    let edges: [UInt64] = [0, 1, 24, 4096, UInt64(Self.length), 1 << 31, 1 << 32, 1 << 47, 1 << 63, .max]
    for round in 0..<300 {
      let connection = try RawConnection(port: port)
      func number(_ near: [UInt64]) -> UInt64 {
        switch Int.random(in: 0..<4, using: &random) {
        case 0: return .random(in: 0 ... .max, using: &random)
        case 1: return edges[Int.random(in: 0..<edges.count, using: &random)]
        default: return near[Int.random(in: 0..<near.count, using: &random)] &+ .random(in: 0...16, using: &random) &- 8
        }
      }
      let (address, size) = (number([start, end]), number([8, UInt64(Self.length), end - start]))
      var header = TCPRequestHeader(.read, address: address, size: size, isAcknowledged: true).encoded
      for index in 16..<24 { header[index] = .random(in: 0...255, using: &random) }
      // Writes that would be served would change the pattern; their turn is in the other tests.
      let (last, wraps) = address.addingReportingOverflow(size)
      let isGood = size > 0 && !wraps && address >= start && last <= end
      if isGood, header[16] & 0x7f == 1 { header[16] &= 0x80 }
      // Nor has a hello of another life its place here.
      if size == 0 { header[16] &= 0x81 }
      connection.send(header)
      if header[16] & 0x80 != 0 {
        #expect(connection.status() == (isGood ? .ok : .rejected), "seed \(seed), round \(round)")
      } else if !isGood {
        #expect(connection.isClosedByPeer, "seed \(seed), round \(round)")
      }
    }
    try expectUnharmed(pair)
  }

  @Test("more connections than are served at once push out those that do nothing")
  func crowd() throws {
    let pair = try pair()
    let port = try pair.stream.port
    try requireFiles()
    let crowd = try (0..<1100).map { _ in try RawConnection(port: port) }
    try expectUnharmed(pair)
    let last = try #require(crowd.last)
    last.request(.read, pair.peer.address, 8)
    #expect(last.status() == .ok)
    #expect(crowd[0].isClosedByPeer)
  }

  @Test("more connections than are served at once, each with a request, lose none of them")
  func burst() throws {
    let pair = try pair()
    let port = try pair.stream.port
    try requireFiles()
    let count = 1500
    let most = [UInt8](repeating: 0xab, count: 7)
    // As an engine of the first framing writes a batch: a connection for each request, and no answer.
    func begin(_ connection: RawConnection, _ index: Int) {
      let place = pair.peer.address + UInt64(8 * index)
      connection.request(.write, place, 8, acknowledged: false, payload: most)
    }
    var crowd: [RawConnection] = []
    for index in 0..<1000 {
      let connection = try RawConnection(port: port)
      // Answered, so that it is one of those that are served.
      connection.request(.read, pair.peer.address, 1)
      #expect(connection.status() == .ok)
      #expect(connection.receive(1).count == 1)
      begin(connection, index)
      crowd.append(connection)
    }
    pair.peer.suspend()
    for index in 1000..<count {
      let connection = try RawConnection(port: port)
      begin(connection, index)
      crowd.append(connection)
    }
    pair.peer.resume()
    // All that are served are busy now, and the others must not be turned away.
    let half = Self.length / 2
    for _ in 0..<50 { #expect(try pair.peer.ask("check 40 \(half) \(half) \(half)") == "ok") }
    for connection in crowd {
      connection.send([0xab])
      connection.finish()
    }
    for connection in crowd { #expect(connection.isClosedByPeer) }
    let reader = try RawConnection(port: port)
    reader.request(.read, pair.peer.address, UInt64(8 * count))
    #expect(reader.status() == .ok)
    #expect(reader.receive(8 * count) == [UInt8](repeating: 0xab, count: 8 * count))
  }

  private func requireFiles() throws {
    var limit = rlimit()
    getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    try #require(limit.rlim_cur > 3000 || limit.rlim_cur == .max, "this test needs 3000 open files: ulimit -n")
  }
}
