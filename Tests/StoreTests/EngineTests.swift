import Logging
import Memory
import NIOCore
import TestSupport
import Testing
import TransferEngine
import Wire

@testable import Metadata

/// This side of a transfer: an engine with one registered buffer, known to a store.
final class Engine {
  let engine: TransferEngine
  let base: UnsafeMutableRawPointer
  let length: Int
  private let memory: HostBuffer

  init(
    _ name: String, _ metadata: String, transport: Configuration.Transport = .efa, length: Int = 1 << 20,
    environment: [String: String] = ["MC_TCP_BIND_ADDRESS": "127.0.0.1"], isRegistered: Bool = true
  ) throws {
    memory = try HostBuffer(length: length)
    base = memory.baseAddress
    self.length = length
    engine = try TransferEngine(
      Configuration(
        localServerName: name, metadataServer: metadata, transports: [transport], provider: "tcp;ofi_rxm",
        environment: ProcessEnvironment.current.merging(environment) { $1 }), logger: quiet)
    if isRegistered { try engine.register(base, length: length) }
  }

  deinit { engine.shutdown() }

  /// Fills the buffer and writes all of it to `address` in `segment`.
  func write(seed: UInt64, to segment: SegmentID, _ address: UInt64) throws -> TransferStatus {
    PatternFill.fill(UnsafeMutableRawBufferPointer(start: base, count: length), seed: seed)
    let batch = try engine.allocateBatch(capacity: 1)
    defer { try? engine.freeBatch(batch) }
    try engine.submit(
      [TransferRequest(.write, local: base, target: segment, remote: address, length: length)], to: batch)
    return try engine.wait(for: batch, timeout: .seconds(60))
  }
}

private var quiet: Logger {
  var logger = Logger(label: "test")
  logger.logLevel = .critical
  return logger
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

/// Names that no other test has.
func uniqueName(_ base: String) -> String { "\(base)-\(UInt32.random(in: 0 ... .max))" }

let bound = ["MC_TCP_BIND_ADDRESS": "127.0.0.1"]

@Suite(.serialized) struct EngineTests {
  @Test(arguments: Kind.installed) func twoProcessesMeetAndTheStoreMayGo(kind: Kind) throws {
    let server = try kind.start()
    defer { server.kill() }
    let peer = try PeerProcess(
      provider: "tcp;ofi_rxm", host: uniqueName("far"), metadata: server.source, bufferLength: 1 << 20,
      environment: bound)
    let near = try Engine(uniqueName("near"), server.source)
    let segment = try near.engine.openSegment(peer.name)
    #expect(try near.write(seed: 1, to: segment, peer.address).state == .completed)
    #expect(try peer.mismatch(seed: 1, length: near.length) == nil)
    // The other way: the peer finds us.
    #expect(try peer.ask("read \(near.engine.name) 0 \(UInt(bitPattern: near.base)) 65536 16") == "completed 1048576")
    #expect(try peer.mismatch(seed: 1, length: near.length) == nil)
    try near.engine.notify(peer.name, NotificationMessage(name: "n", message: "m"))
    #expect(try peer.ask("notifications") == "ok n=m")

    // Who knows each other does not need the store.
    server.kill()
    #expect(try near.write(seed: 2, to: segment, peer.address).state == .completed)
    #expect(try peer.mismatch(seed: 2, length: near.length) == nil)
    #expect(code { _ = try near.engine.openSegment("stranger") } != nil)
    // What peers cannot be told of is not registered.
    let more = try HostBuffer(length: 4096)
    let failure = code { try near.engine.register(more.baseAddress, length: 4096) }
    #expect(failure != nil)
    #expect(try near.engine.describe(.local).buffers.count == 1)

    try server.restart()
    try near.engine.register(more.baseAddress, length: 4096)
    let third = try Engine(uniqueName("third"), server.source)
    let found = try third.engine.openSegment(near.engine.name)
    #expect(try third.engine.describe(found).buffers.count == 2)
    try near.engine.unregister(more.baseAddress)
    try third.engine.syncSegmentCache(near.engine.name)
    #expect(try third.engine.describe(found).buffers.count == 1)
  }

  @Test func overTCPTheAddressIsTheAdvertisedOne() throws {
    let server = try ReferenceServer()
    let peer = try PeerProcess(
      tcp: uniqueName("far"), metadata: server.source, bufferLength: 1 << 20, environment: bound)
    let near = try Engine(uniqueName("near"), server.source, transport: .tcp)
    let segment = try near.engine.openSegment(peer.name)
    #expect(try near.write(seed: 1, to: segment, peer.address).state == .completed)
    #expect(try peer.mismatch(seed: 1, length: near.length) == nil)
    #expect(server.value("mooncake/ram/\(peer.name)")?.contains(#""tcp_data_host":"127.0.0.1""#) == true)
  }

  @Test func overTCPAPeerThatNamesNoDataHostIsWhereItsLocationIs() throws {
    let server = try ReferenceServer()
    let peer = try PeerProcess(
      tcp: uniqueName("far"), metadata: server.source, bufferLength: 1 << 20, environment: bound)
    // What older engines publish.
    let key = "mooncake/ram/\(peer.name)"
    let value = try #require(server.value(key))
    let older = value.replacing(#""tcp_data_host":"127.0.0.1","#, with: "")
    #expect(older != value)
    server.set(key, older)
    let near = try Engine(uniqueName("near"), server.source, transport: .tcp)
    let segment = try near.engine.openSegment(peer.name)
    #expect(try near.write(seed: 1, to: segment, peer.address).state == .completed)
    #expect(try peer.mismatch(seed: 1, length: near.length) == nil)
  }

  @Test func writesComeInTheOrderOfTheContract() throws {
    let server = try ReferenceServer()
    let name = uniqueName("order")
    do {
      let near = try Engine(name, server.source, isRegistered: false)
      #expect(server.log == ["PUT mooncake/rpc_meta/\(name)", "PUT mooncake/ram/\(name)"])
      #expect(server.value("mooncake/ram/\(name)")?.hasPrefix(#"{"buffers":[],"#) == true)
      #expect(server.value("mooncake/ram/\(name)")?.hasSuffix("}") == true)
      #expect(
        server.value("mooncake/rpc_meta/\(name)")
          == #"{"ip_or_host_name":"127.0.0.1","rpc_port":\#(near.engine.rpcPort)}"#)
      server.clearLog()
      let pages = 16
      let addresses = (0..<pages).map { near.base + $0 * 4096 }
      try near.engine.register(addresses.map { BufferEntry($0, length: 4096) })
      #expect(server.log == ["PUT mooncake/ram/\(name)"])
      try near.engine.unregister(addresses)
      #expect(server.log == ["PUT mooncake/ram/\(name)", "PUT mooncake/ram/\(name)"])
      server.clearLog()
      near.engine.shutdown()
      #expect(
        server.log.filter { !$0.hasPrefix("GET") } == [
          "DELETE mooncake/rpc_meta/\(name)", "DELETE mooncake/ram/\(name)",
        ])
    }
    #expect(server.value("mooncake/ram/\(name)") == nil)
    #expect(server.value("mooncake/rpc_meta/\(name)") == nil)
  }

  @Test func clustersAreApart() throws {
    let server = try ReferenceServer()
    let near = try Engine("a/b", server.source, environment: bound.merging(["MC_METADATA_CLUSTER_ID": "east"]) { $1 })
    #expect(server.value("mooncake/east/rpc_meta/a/b") != nil)
    #expect(server.value("mooncake/east/a/b") != nil)
    let other = try Engine(uniqueName("other"), server.source)
    #expect(code { _ = try other.engine.openSegment("a/b") } == .metadata)
    near.engine.shutdown()
  }

  @Test func aLiveNameIsNotTakenAndADeadOneIs() throws {
    let server = try ReferenceServer()
    let name = uniqueName("taken")
    let first = try Engine(name, server.source)
    #expect(code { _ = try Engine(name, server.source) } == .metadata)
    #expect(server.value("mooncake/rpc_meta/\(name)")?.contains("\(first.engine.rpcPort)") == true)
    first.engine.shutdown()
    // A crash leaves its entry behind.
    server.set("mooncake/rpc_meta/\(name)", #"{"ip_or_host_name":"127.0.0.1","rpc_port":\#(try freePort())}"#)
    let second = try Engine(name, server.source)
    #expect(server.value("mooncake/rpc_meta/\(name)")?.contains("\(second.engine.rpcPort)") == true)
    // And one that nobody can read is nobody's.
    let third = uniqueName("broken")
    server.set("mooncake/rpc_meta/\(third)", "?")
    _ = try Engine(third, server.source)
  }

  @Test func anEngineDoesNotRemoveItsSuccessor() throws {
    let server = try ReferenceServer()
    let name = uniqueName("successor")
    let near = try Engine(name, server.source)
    let other = #"{"ip_or_host_name":"10.1.1.1","rpc_port":4}"#
    server.set("mooncake/rpc_meta/\(name)", other)
    near.engine.shutdown()
    #expect(server.value("mooncake/rpc_meta/\(name)") == other)
    #expect(server.value("mooncake/ram/\(name)") != nil)
  }

  @Test func aStoreThatIsDownIsNamed() throws {
    let port = try freePort()
    for source in ["http://127.0.0.1:\(port)/metadata", "127.0.0.1:\(port)", "redis://127.0.0.1:\(port)"] {
      do {
        _ = try Engine(uniqueName("x"), source)
        Issue.record("\(source) works")
      } catch let error as TransferError {
        #expect(error.code == .metadata)
        #expect(error.message.contains("127.0.0.1:\(port)"))
      }
    }
    #expect(code { _ = try Engine(uniqueName("x"), "consul://h") } == .invalidArgument)
  }

  @Test func thePortOfTheNameOnRequest() throws {
    let server = try ReferenceServer()
    let port = try freePort()
    for _ in 0..<2 {
      let near = try Engine(
        "127.0.0.1:\(port)", server.source, environment: ["MC_LEGACY_RPC_PORT_BINDING": "1"], isRegistered: false)
      #expect(near.engine.rpcPort == UInt16(port))
      near.engine.shutdown()
    }
    // Otherwise it is drawn, and a loopback name stays on loopback.
    let near = try Engine("127.0.0.1:\(port)", server.source, environment: [:], isRegistered: false)
    #expect(near.engine.name == "127.0.0.1:\(port)")
    #expect(near.engine.rpcPort != UInt16(port))
    #expect(server.value("mooncake/rpc_meta/127.0.0.1:\(port)")?.contains(#""127.0.0.1""#) == true)
  }
}

@Suite(.serialized) struct RefreshTests {
  @Test func whatHasNotChangedStaysAndWhatCannotBeHadToo() throws {
    let server = try ReferenceServer()
    let owner = try Engine(uniqueName("owner"), server.source)
    let near = try Engine(uniqueName("near"), server.source)
    let segment = try near.engine.openSegment(owner.engine.name)
    #expect(code { try near.engine.syncSegmentCache("nobody") } == .invalidArgument)
    let key = "mooncake/ram/\(owner.engine.name)"
    let kept = server.value(key)
    server.set(key, nil)
    #expect(code { try near.engine.syncSegmentCache(owner.engine.name) } == .metadata)
    try near.engine.syncSegmentCache()
    #expect(try near.engine.describe(segment).buffers.count == 1)
    server.set(key, kept)
    try owner.engine.unregister(owner.base)
    #expect(try near.engine.describe(segment).buffers.count == 1)
    try near.engine.syncSegmentCache()
    #expect(try near.engine.describe(segment).buffers.isEmpty)
  }

  @Test func withoutACacheEveryLookIsFresh() throws {
    let server = try ReferenceServer()
    let owner = try Engine(uniqueName("owner"), server.source)
    let near = try Engine(
      uniqueName("near"), server.source, environment: bound.merging(["MC_DISABLE_METACACHE": ""]) { $1 })
    let segment = try near.engine.openSegment(owner.engine.name)
    #expect(try near.write(seed: 3, to: segment, UInt64(UInt(bitPattern: owner.base))).state == .completed)
    try owner.engine.unregister(owner.base)
    #expect(try near.engine.describe(segment).buffers.isEmpty)
    #expect(code { _ = try near.write(seed: 3, to: segment, UInt64(UInt(bitPattern: owner.base))) } == .metadata)
  }

  @Test func theIntervalRefreshesByItself() throws {
    let server = try ReferenceServer()
    let owner = try Engine(uniqueName("owner"), server.source)
    let near = try Engine(
      uniqueName("near"), server.source,
      environment: bound.merging(["MC_TE_METADATA_REFRESH_INTERVAL_SECONDS": "1"]) { $1 })
    let segment = try near.engine.openSegment(owner.engine.name)
    try owner.engine.unregister(owner.base)
    let deadline = ContinuousClock.now + .seconds(30)
    while try !near.engine.describe(segment).buffers.isEmpty, ContinuousClock.now < deadline { pause() }
    #expect(try near.engine.describe(segment).buffers.isEmpty)
  }
}
