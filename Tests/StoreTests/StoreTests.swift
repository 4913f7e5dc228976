import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization
import Testing
import Wire

@testable import Metadata

/// A store of each kind, running.
enum Kind: String, CaseIterable, CustomTestStringConvertible {
  case http
  case etcd
  case redis

  var testDescription: String { rawValue }

  /// Those that this host can run. The suites that are left out say so.
  static var installed: [Kind] {
    allCases.filter { kind in
      switch kind {
      case .http: true
      case .etcd: Program.etcd.isInstalled
      case .redis: Program.redis.isInstalled
      }
    }
  }

  func start() throws -> RunningStore {
    switch self {
    case .http: RunningStore(http: try ReferenceServer())
    case .etcd: RunningStore(process: try StoreProcess(.etcd))
    case .redis: RunningStore(process: try StoreProcess(.redis))
    }
  }
}

/// A store's server, whatever it is.
struct RunningStore {
  private let http: ReferenceServer?
  private let process: StoreProcess?

  init(http: ReferenceServer) { (self.http, process) = (http, nil) }
  init(process: StoreProcess) { (http, self.process) = (nil, process) }

  var source: String { http?.source ?? process?.source ?? "" }

  func kill() {
    http?.stop()
    process?.kill()
  }

  func restart() throws {
    try http?.start()
    try process?.start()
  }
}

@Suite struct InstalledPrograms {
  @Test(.enabled(if: Program.etcd.isInstalled, "\(Program.etcd.advice)")) func etcdIsTested() {
    #expect(Kind.installed.contains(.etcd))
  }

  @Test(.enabled(if: Program.redis.isInstalled, "\(Program.redis.advice)")) func redisIsTested() {
    #expect(Kind.installed.contains(.redis))
  }
}

@Suite(.serialized) struct StoreTests {
  @Test(arguments: Kind.installed) func holdsValues(kind: Kind) throws {
    let server = try kind.start()
    defer { server.kill() }
    let store = try makeStore(server.source)
    defer { store.close() }
    let key = "mooncake/ram/a b:1/\u{e4}"
    #expect(try store.get(key, deadline: store.deadline).wait() == nil)
    #expect(try store.remove(key, deadline: store.deadline).wait() == false)
    // Every byte value, and a value of the size of a large descriptor.
    let large = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0) }
    for value in [Array("{}\n".utf8), [], [0, 13, 10, 255], large] {
      try store.put(key, value, deadline: store.deadline).wait()
      #expect(try store.get(key, deadline: store.deadline).wait() == value)
    }
    // One key is not the prefix of another.
    #expect(try store.get("mooncake/ram/a", deadline: store.deadline).wait() == nil)
    #expect(try store.remove(key, deadline: store.deadline).wait() == true)
    #expect(try store.get(key, deadline: store.deadline).wait() == nil)
  }

  @Test(arguments: Kind.installed) func recoversWithoutARestart(kind: Kind) throws {
    let server = try kind.start()
    defer { server.kill() }
    let store = try makeStore(server.source)
    defer { store.close() }
    try store.put("k", [1], deadline: store.deadline).wait()
    server.kill()
    let error = try #require(metadataError { _ = try store.get("k", deadline: store.deadline).wait() })
    #expect([.storeUnavailable, .timedOut].contains(error.code))
    #expect(error.message.contains(store.address))
    try server.restart()
    #expect(try store.get("k", deadline: store.deadline).wait() == [1])
  }

  @Test(.timeLimit(.minutes(1)), arguments: Kind.allCases) func aSilentServerCostsItsDeadlineOnly(kind: Kind) throws {
    let server = try SilentServer()
    let store = try makeStore(kind == .http ? "http://127.0.0.1:\(server.port)/" : "\(kind)://127.0.0.1:\(server.port)")
    defer { store.close() }
    let error = try #require(
      metadataError { _ = try store.get("k", deadline: .now() + .milliseconds(300)).wait() })
    #expect(error.code == .timedOut)
    #expect(error.message.contains("127.0.0.1:\(server.port)"))
  }

  @Test(arguments: Kind.allCases) func anotherProtocolIsNamed(kind: Kind) throws {
    let server = try SilentServer(saying: "SSH-2.0-OpenSSH_9.2\r\n")
    let store = try makeStore(kind == .http ? "http://127.0.0.1:\(server.port)/" : "\(kind)://127.0.0.1:\(server.port)")
    defer { store.close() }
    let error = try #require(metadataError { _ = try store.get("k", deadline: store.deadline).wait() })
    #expect(error.code == .unexpectedReply)
  }

  @Test(arguments: Kind.installed) func foreignValuesAreNamedAndHarmless(kind: Kind) throws {
    let server = try kind.start()
    defer { server.kill() }
    let store = try makeStore(server.source)
    let directory = SegmentDirectory(store: store, clusterID: "", group: loops, logger: Logger(label: "test"))
    defer { directory.close() }
    #expect(metadataError { _ = try directory.segmentDescriptor(of: "x") }?.code == .notFound)
    let broken: [(String, MetadataError.Code)] = [
      ("", .malformedReply), ("hello", .malformedReply), ("[1]", .malformedReply), ("null", .malformedReply),
      (#"{"name":"x","protocol":"tcp","buffers":[{"name":"x","addr":0,"length":1}]}"#, .invalidDescriptor),
      (#"{"name":"x","protocol":"quux"}"#, .invalidDescriptor), (#"{"name":5,"protocol":"tcp"}"#, .malformedReply),
    ]
    for (text, code) in broken {
      try store.put("mooncake/ram/x", Array(text.utf8), deadline: store.deadline).wait()
      let error = try #require(metadataError { _ = try directory.segmentDescriptor(of: "x") })
      #expect(error.code == code, "\(text)")
      #expect(error.message.contains("mooncake/ram/x"))
    }
    try store.put("mooncake/rpc_meta/x", Array("{".utf8), deadline: store.deadline).wait()
    let error = metadataError { _ = try directory.location(of: "x", fresh: false, on: loops.next()).wait() }
    #expect(error?.code == .malformedReply)
  }
}

@Suite(.serialized, .enabled(if: Program.etcd.isInstalled, "\(Program.etcd.advice)")) struct EtcdTests {
  @Test func goesToAnotherEndpoint() throws {
    let server = try StoreProcess(.etcd)
    let silent = try SilentServer()
    // One that refuses, one that does not answer, one that works.
    let store = try makeStore("etcd://127.0.0.1:\(try freePort());127.0.0.1:\(silent.port),127.0.0.1:\(server.port)")
    try store.put("k", [1], deadline: store.deadline).wait()
    #expect(try store.get("k", deadline: store.deadline).wait() == [1])
  }
}

@Suite(.serialized, .enabled(if: Program.redis.isInstalled, "\(Program.redis.advice)")) struct RedisTests {
  @Test func aWrongPasswordIsSaidToBeOne() throws {
    let server = try StoreProcess(.redis, password: "right")
    var options = MetadataStoreOptions()
    for (user, password, works) in [
      ("", "", false), ("", "wrong", false), ("nobody", "right", false), ("", "right", true),
      ("default", "right", true),
    ] {
      options.redisUser = user
      options.redisPassword = password
      let store = try makeStore(server.source, options: options)
      defer { store.close() }
      let error = metadataError { _ = try store.put("k", [1], deadline: store.deadline).wait() }
      #expect((error == nil) == works, "\(user):\(password)")
      guard let error else { continue }
      #expect(error.code == .storeRefused)
      #expect(error.description.contains("MC_REDIS_PASSWORD"))
      #expect(!error.description.contains("wrong"))
    }
  }

  @Test func databasesAreApart() throws {
    let server = try StoreProcess(.redis)
    var options = MetadataStoreOptions()
    let first = try makeStore(server.source, options: options)
    options.redisDatabase = 3
    let second = try makeStore(server.source, options: options)
    options.redisDatabase = 200
    let beyond = try makeStore(server.source, options: options)
    try first.put("k", [1], deadline: first.deadline).wait()
    #expect(try second.get("k", deadline: second.deadline).wait() == nil)
    // Redis has 16 by default.
    let error = metadataError { _ = try beyond.get("k", deadline: beyond.deadline).wait() }
    #expect(error?.code == .storeRefused)
    for store in [first, second, beyond] { store.close() }
  }

  @Test func manyCommandsShareTheConnection() throws {
    let server = try StoreProcess(.redis)
    let store = try makeStore(server.source)
    let puts = (0..<500).map { store.put("k\($0)", Array("\($0)".utf8), deadline: store.deadline) }
    for put in puts { try put.wait() }
    let gets = (0..<500).map { store.get("k\($0)", deadline: store.deadline) }
    for (index, get) in gets.enumerated() { #expect(try get.wait() == Array("\(index)".utf8)) }
    store.close()
    let error = metadataError { _ = try store.get("k", deadline: store.deadline).wait() }
    #expect(error != nil)
  }

  @Test func aKeyOfAnotherTypeIsForeign() throws {
    let server = try StoreProcess(.redis)
    let connection = try StoreConnector(group: loops)
      .connect(
        to: HostPort(host: "127.0.0.1", port: UInt16(server.port)), on: loops.next(), deadline: .now() + .seconds(5)
      )
      .flatMapThrowing { try RedisConnection($0, server: HostPort(host: "127.0.0.1", port: UInt16(server.port))) }
      .wait()
    let reply = try connection.send(
      ["LPUSH", "mooncake/ram/x", "1"].map { Array($0.utf8) }, deadline: .now() + .seconds(5)
    )
    .wait()
    #expect(reply == .integer(1))
    connection.close()
    let store = try makeStore(server.source)
    defer { store.close() }
    let error = metadataError { _ = try store.get("mooncake/ram/x", deadline: store.deadline).wait() }
    #expect(error?.code == .storeRefused)
  }
}

@Suite struct HTTPTests {
  @Test func requestsLookAsTheOriginalsDo() throws {
    let server = try ReferenceServer()
    let store = try makeStore(server.source)
    try store.put("mooncake/rpc_meta/10.0.0.1:5", Array("{}".utf8), deadline: store.deadline).wait()
    #expect(server.lastTarget.withLock { $0 } == "/metadata?key=mooncake%2Frpc_meta%2F10.0.0.1%3A5")
    let headers = server.lastHeaders.withLock { $0 }
    #expect(headers["Host"] == ["127.0.0.1:\(server.port)"])
    #expect(headers["Content-Type"] == ["application/json"])
    #expect(headers["Accept"] == ["*/*"])
  }

  @Test func aServerInTroubleIsAskedAgain() throws {
    let server = try ReferenceServer()
    let store = try makeStore(server.source)
    server.set("k", "v")
    server.answerNext(2, with: .serviceUnavailable)
    #expect(try store.get("k", deadline: store.deadline).wait() == Array("v".utf8))
    #expect(server.log.count == 3)
  }

  @Test func aRefusalIsNotAskedAgain() throws {
    let server = try ReferenceServer()
    let store = try makeStore("http://127.0.0.1:\(server.port)/elsewhere")
    let error = try #require(metadataError { _ = try store.put("k", [1], deadline: store.deadline).wait() })
    #expect(error.code == .storeRefused)
    server.answerNext(1, with: .forbidden)
    let other = try makeStore(server.source)
    #expect(metadataError { _ = try other.get("k", deadline: other.deadline).wait() }?.code == .storeRefused)
    #expect(server.log == ["GET k"])
  }

  @Test func aTakenNameIsAnError() throws {
    let server = try ReferenceServer()
    let store = try makeStore(server.source)
    try store.put("mooncake/rpc_meta/x", [1], deadline: store.deadline).wait()
    let error = metadataError { try store.put("mooncake/rpc_meta/x", [2], deadline: store.deadline).wait() }
    #expect(error?.code == .keyExists)
  }
}
