import Foundation
import NIOCore
import NIOPosix
import Synchronization
import Testing
import Wire

@testable import Metadata

@Suite("The daemon", .timeLimit(.minutes(2)))
struct DaemonTests {
  @Test(
    "requests of confused types do not hurt it, and are refused with a line in the log",
    arguments: [
      (.notify, "[1]"), (.notify, "5"), (.notify, "\"str\""), (.notify, #"{"name":[]}"#), (.notify, #"{"name":{}}"#),
      (.connection, "[1]"), (.connection, "5"), (.connection, #"{"payload":{}}"#),
      (.connection, #"{"qp_num":["x"]}"#), (.connection, #"{"qp_num":[-1]}"#),
    ] as [(HandshakeMessageType, String)])
  func confusedTypes(type: HandshakeMessageType, body: String) throws {
    let fixture = try Fixture()
    let socket = try RawSocket(port: fixture.daemon.port)
    socket.send(frame(type, body))
    let reply = try #require(socket.readFrame())
    #expect(reply.type == type)
    if type == .connection {
      #expect(try !ConnectionMessage(decoding: reply.body).replyMessage.isEmpty)
    } else {
      #expect(try NotifyMessage(decoding: reply.body).message.isEmpty)
    }
    #expect(fixture.lines.contains("refused"))
    #expect(fixture.service.notifications.withLock { $0.isEmpty })
    try fixture.client.probe(fixture.server)
  }

  @Test(
    "what is no request closes the connection without an answer, with a line in the log",
    arguments: [
      [0, 0, 0, 0, 0, 0, 0, 0], [1, 0, 16, 0, 0, 0, 0, 0], Array(repeating: 0xFF, count: 64),
      bytes("GET / HTTP/1.1\r\n\r\n"),
      [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xFC, 0x03], [5, 0, 0, 0, 0, 0, 0, 0, 0xFE],
      frame(.connection, ""), frame(.notify, ""), frame(.metadata, ""), frame(.probe, "{"),
      frame(.connection, "{\"a\":"),
      frame(nil, "{"), frame(.metadata, String(repeating: "[", count: 5000)),
    ])
  func garbage(request: [UInt8]) throws {
    let fixture = try Fixture()
    let socket = try RawSocket(port: fixture.daemon.port)
    socket.send(request)
    #expect(socket.readToEnd() == [])
    #expect(fixture.lines.contains("is closed"))
    try fixture.client.probe(fixture.server)
  }

  @Test("a request that is cut short is closed with a line in the log", arguments: [0, 1, 7, 8, 9, 10])
  func truncated(count: Int) throws {
    let fixture = try Fixture()
    let socket = try RawSocket(port: fixture.daemon.port)
    socket.send(Array(frame(.probe, "{}").prefix(count)))
    socket.finishSending()
    #expect(socket.readToEnd() == [])
    #expect(fixture.lines.contains("whole request"))
  }

  @Test("idle and slow connections are closed at the deadline, and others are served meanwhile")
  func slowClients() throws {
    let fixture = try Fixture { $0.requestTimeout = .seconds(3) }
    let idle = try (0..<20).map { _ in try RawSocket(port: fixture.daemon.port) }
    let slow = try RawSocket(port: fixture.daemon.port)
    let drip = frame(.metadata, String(repeating: " ", count: 1000))
    let start = ContinuousClock.now
    var served = 0
    // A byte every 50 ms keeps a deadline that starts anew with each byte from ever passing.
    for byte in drip.prefix(120) {
      slow.send([byte])
      Thread.sleep(forTimeInterval: 0.05)
      guard served < 3 else { continue }
      let asked = ContinuousClock.now
      try fixture.client.probe(fixture.server)
      #expect(ContinuousClock.now - asked < .seconds(1))
      served += 1
    }
    #expect(ContinuousClock.now - start > .seconds(4))
    #expect(slow.readToEnd() == [])
    for socket in idle { #expect(socket.readToEnd() == []) }
    #expect(fixture.lines.contains("no whole request within"))
  }

  @Test("a flood of idle connections gives way to those that ask")
  func flood() throws {
    let fixture = try Fixture {
      $0.maximumConnections = 4
      $0.requestTimeout = .seconds(60)
    }
    let idle = try (0..<12).map { _ in try RawSocket(port: fixture.daemon.port) }
    for _ in 0..<5 { try fixture.client.probe(fixture.server) }
    #expect(idle.first?.readToEnd() == [])
    #expect(fixture.lines.contains("the oldest is closed"))
  }

  @Test("clients that keep their answered connections open give way too")
  func lingering() throws {
    let fixture = try Fixture {
      $0.maximumConnections = 4
      $0.requestTimeout = .seconds(60)
    }
    let lingering = try (0..<12).map { _ in
      let socket = try RawSocket(port: fixture.daemon.port)
      socket.send(frame(.probe, "{}"))
      #expect(socket.readFrame()?.type == .probe)
      return socket
    }
    for _ in 0..<5 { try fixture.client.probe(fixture.server) }
    #expect(lingering.first?.readToEnd() == [])
  }

  @Test("a flood of bad requests does not flood the log")
  func logLimit() throws {
    let fixture = try Fixture()
    for _ in 0..<60 {
      let socket = try RawSocket(port: fixture.daemon.port)
      socket.send(frame(.notify, ""))
      #expect(socket.readToEnd() == [])
    }
    #expect(fixture.lines.count <= 3 * LimitedLog.linesPerWindow)
  }

  @Test("a request of exactly the largest length is served, one byte more is not")
  func largest() throws {
    let fixture = try Fixture()
    let body = "{" + String(repeating: " ", count: (1 << 20) - 3) + "}"
    let good = try RawSocket(port: fixture.daemon.port)
    good.send(frame(.probe, body))
    #expect(good.readFrame()?.type == .probe)
    let bad = try RawSocket(port: fixture.daemon.port)
    bad.send(frame(.probe, body + " "))
    #expect(bad.readToEnd() == [])
  }

  @Test("a connection has one request: the second is not answered")
  func secondRequest() throws {
    let fixture = try Fixture { $0.requestTimeout = .seconds(1) }
    let socket = try RawSocket(port: fixture.daemon.port)
    socket.send(frame(.probe, "{}"))
    #expect(socket.readFrame()?.type == .probe)
    socket.send(frame(.probe, "{}"))
    #expect(socket.readToEnd() == [])
    let both = try RawSocket(port: fixture.daemon.port)
    both.send(frame(.probe, "{}") + frame(.probe, "{}"))
    #expect(both.readToEnd() == HandshakeFrame(type: .probe, body: ProbeReply().encoded()).encoded())
  }

  @Test("a client that has half-closed still gets its reply")
  func halfClosed() throws {
    let fixture = try Fixture()
    let socket = try RawSocket(port: fixture.daemon.port)
    socket.send(frame(.probe, "{}"))
    socket.finishSending()
    #expect(socket.readToEnd() == HandshakeFrame(type: .probe, body: ProbeReply().encoded()).encoded())
  }

  @Test("metadata and probes take any JSON", arguments: ["{}", "null", "5", "[1]", "\"x\""])
  func anyBody(body: String) throws {
    let fixture = try Fixture()
    for type in [HandshakeMessageType.metadata, .probe] {
      let socket = try RawSocket(port: fixture.daemon.port)
      socket.send(frame(type, body))
      #expect(socket.readFrame()?.type == type)
    }
  }

  @Test("the old form without a type byte is answered in the old form")
  func oldForm() throws {
    let fixture = try Fixture()
    let socket = try RawSocket(port: fixture.daemon.port)
    socket.send(frame(nil, #"{"local_nic_path":"a@b"}"#))
    let reply = try #require(socket.readFrame())
    #expect(reply.type == nil)
    #expect(try ConnectionMessage(decoding: reply.body).peerNICPath == "a@b")
  }

  @Test("without a descriptor the answer is null")
  func noDescriptor() throws {
    let fixture = try Fixture()
    fixture.service.descriptor.withLock { $0 = nil }
    let socket = try RawSocket(port: fixture.daemon.port)
    socket.send(frame(.metadata, "{}"))
    #expect(socket.readFrame() == HandshakeFrame(type: .metadata, body: bytes("null\n")))
  }

  @Test("a closed daemon has closed its connections and its port")
  func close() throws {
    let fixture = try Fixture()
    let idle = try RawSocket(port: fixture.daemon.port)
    try fixture.client.probe(fixture.server)
    fixture.daemon.close()
    #expect(idle.readToEnd() == [])
    #expect(code { try fixture.client.probe(fixture.server) } == .connectFailed)
    fixture.daemon.close()
  }

  @Test("ports come from the range, and a range without a free one is an error")
  func ports() throws {
    let fixture = try Fixture { $0.portRange = 20000...29999 }
    let taken = fixture.daemon.port
    #expect((20000...29999).contains(taken))
    #expect(code { _ = try Fixture { $0.portRange = taken...taken } } == .noPort)
  }

  @Test("a daemon for IPv6 serves IPv4 too, one for IPv4 does not serve IPv6")
  func families() throws {
    let both = try Fixture { $0.usesIPv6 = true }
    try both.client.probe("[::1]:\(both.daemon.port)")
    try Fixture().client.probe(both.server)
    let old = try Fixture()
    #expect(code { try both.client.probe("[::1]:\(old.daemon.port)") } == .connectFailed)
  }

  @Test("started on an event loop it throws instead of waiting for ever")
  func onEventLoop() throws {
    let thrown = try loops.next().submit { code { _ = try Fixture() } }.wait()
    #expect(thrown == .onEventLoop)
  }
}
