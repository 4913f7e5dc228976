import Dispatch
import NIOCore
import NIOPosix
import Synchronization
import Testing
import Wire

@testable import Metadata

@Suite("The client", .timeLimit(.minutes(2)))
struct ClientTests {
  @Test("a connection message and its reply go through whole")
  func connection() throws {
    let fixture = try Fixture()
    let message = ConnectionMessage(
      efaAddress: [1, 2, 3], localNICPath: "a:1@x", peerNICPath: "b:2@y", nicAddresses: ["x": [1]], incarnation: "7")
    let reply = try fixture.client.connect(message, to: fixture.server)
    #expect(reply.efaAddress == [1, 2, 3])
    #expect(reply.localNICPath == "b:2@y")
    #expect(reply.nicAddresses == ["x": [1]])
    #expect(reply.incarnation == "7")
  }

  @Test("a descriptor of several megabytes goes through whole, if the limit allows it")
  func descriptor() throws {
    let large = SegmentDescriptor(
      name: "n", transport: .tcp,
      buffers: (1...40_000).map { .init(name: "127.0.0.1:1", address: UInt64($0) << 30, length: 1 << 20) })
    let fixture = try Fixture { $0.maximumFrameLength = 8 << 20 }
    fixture.service.descriptor.withLock { $0 = large.encoded() }
    #expect(try fixture.client.segmentDescriptor(of: fixture.server) == large)
    let strict = HandshakeClient(options: HandshakeOptions(), group: loops, logger: fixture.lines.logger)
    #expect(code { _ = try strict.segmentDescriptor(of: fixture.server) } == .unexpectedReply)
  }

  @Test("a notification arrives once, and a rejection is an error")
  func notification() throws {
    let fixture = try Fixture()
    try fixture.client.notify(NotifyMessage(name: "ü", message: "m"), server: fixture.server)
    #expect(fixture.service.notifications.withLock { $0 } == [NotifyMessage(name: "ü", message: "m")])
    #expect(
      code { try fixture.client.notify(.init(name: "x", message: "refuse"), server: fixture.server) } == .rejected)
  }

  @Test("a refusal is an error that gives the peer's reason")
  func refusal() throws {
    let fixture = try Fixture()
    do {
      _ = try fixture.client.connect(ConnectionMessage(payload: "refuse"), to: fixture.server)
      Issue.record("not refused")
    } catch {
      #expect(error.code == .rejected)
      #expect(error.code.number == -200)
      #expect(error.message.contains("no such device"))
    }
  }

  @Test("localhost is looked up")
  func localhost() throws {
    let fixture = try Fixture()
    try fixture.client.probe("localhost:\(fixture.daemon.port)")
  }

  @Test("a name without a port has the default port")
  func defaultPort() throws {
    let fixture = try Fixture()
    var options = HandshakeOptions()
    options.defaultPort = fixture.daemon.port
    let client = HandshakeClient(options: options, group: loops, logger: fixture.lines.logger)
    try client.probe("127.0.0.1")
    try client.probe("127.0.0.1:99999")
    #expect(fixture.lines.contains("illegal port"))
  }

  @Test("a hundred requests at once are all answered")
  func concurrent() throws {
    let fixture = try Fixture()
    let all = (0..<100).map { _ in fixture.client.connecting(ConnectionMessage(localNICPath: "a@b"), to: fixture.server)
    }
    let replies = try EventLoopFuture.whenAllSucceed(all, on: loops.next()).wait()
    #expect(replies.allSatisfy { $0.peerNICPath == "a@b" })
  }

  @Test("names that do not resolve, also for want of the right family")
  func names() throws {
    let client = try Fixture().client
    #expect(code { try client.probe("no-such-host.invalid:1") } == .nameNotResolved)
    #expect(code { try client.probe("[::1]:1") } == .nameNotResolved)
    #expect(code { try client.probe("") } == .nameNotResolved)
    #expect(code { try client.probe("a\0b:1") } == .nameNotResolved)
    #expect(code { try client.probe("127.0.0.1\0b:1") } == .nameNotResolved)
    #expect(MetadataError.Code.nameNotResolved.number == -101)
  }

  @Test("a port where nobody listens")
  func closedPort() throws {
    let peer = try FakePeer(reply: nil)
    let server = peer.server
    try peer.channel.close().wait()
    let client = try Fixture().client
    do {
      try client.probe(server)
      Issue.record("connected")
    } catch {
      #expect(error.code == .connectFailed)
      #expect(error.message.contains(server))
    }
  }

  @Test("a silent peer costs the reply timeout and no more")
  func silent() throws {
    let peer = try FakePeer(reply: nil)
    let client = try Fixture { $0.replyTimeout = .milliseconds(200) }.client
    let start = ContinuousClock.now
    #expect(code { try client.probe(peer.server) } == .timedOut)
    #expect(ContinuousClock.now - start < .seconds(10))
  }

  @Test(
    "replies that are none",
    arguments: [
      (frame(.notify, "{}"), .unexpectedReply), (frame(nil, "{}"), .unexpectedReply),
      (bytes("HTTP/1.1 400 Bad Request\r\n\r\n"), .unexpectedReply), ([0, 0, 0, 0, 0, 0, 0, 0], .unexpectedReply),
      (frame(.connection, ""), .malformedReply), (frame(.connection, "{"), .malformedReply),
      (frame(.connection, "[1]"), .malformedReply), (frame(.connection, #"{"efa_addr":"xyz"}"#), .malformedReply),
      (frame(.connection, "null\n"), .notReady), ([], .closedWithoutReply),
    ] as [([UInt8], MetadataError.Code)])
  func brokenReplies(reply: [UInt8], expected: MetadataError.Code) throws {
    let peer = try FakePeer(reply: reply)
    let client = try Fixture().client
    #expect(code { _ = try client.connect(ConnectionMessage(), to: peer.server) } == expected)
  }

  @Test(
    "descriptors that are none",
    arguments: [
      ("null\n", .notReady), ("5", .malformedReply), (#"{"name":"n"}"#, .invalidDescriptor),
      (#"{"name":"n","protocol":"tcp","buffers":[{"name":"n","addr":0,"length":1}]}"#, .invalidDescriptor),
    ] as [(String, MetadataError.Code)])
  func brokenDescriptors(body: String, expected: MetadataError.Code) throws {
    let peer = try FakePeer(reply: frame(.metadata, body))
    let client = try Fixture().client
    #expect(code { _ = try client.segmentDescriptor(of: peer.server) } == expected)
  }

  @Test("a blocking call on an event loop throws instead of waiting for ever")
  func onEventLoop() throws {
    let fixture = try Fixture()
    let client = fixture.client
    let server = fixture.server
    #expect(try loops.next().submit { code { try client.probe(server) } }.wait() == .onEventLoop)
  }

  @Test("a blocking call ends although the event loop is stuck")
  func stuck() throws {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    var options = HandshakeOptions()
    options.connectTimeout = .milliseconds(100)
    options.replyTimeout = .milliseconds(100)
    let client = HandshakeClient(options: options, group: group, logger: LogLines().logger)
    let release = DispatchSemaphore(value: 0)
    let stuck = group.next().submit { _ = release.wait(timeout: .now() + 30) }
    #expect(code { try client.probe("127.0.0.1:1") } == .stopped)
    release.signal()
    try stuck.wait()
    // What was started must end before its loop may.
    #expect(code { try client.probe("127.0.0.1:1") } == .connectFailed)
    try group.syncShutdownGracefully()
  }
}
