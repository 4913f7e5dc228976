import Logging
import Memory
import NIOCore
import Synchronization
import TestSupport
import Testing
import TransferEngine
import Wire

@testable import Metadata

@Suite(.serialized) struct IncarnationTests {
  // Not on shm: that of libfabric 1.17 dies of a write by a peer whose address it was told to forget.
  private func start(_ name: String, _ server: ReferenceServer) throws -> PeerProcess {
    try PeerProcess(
      provider: "tcp;ofi_rxm", host: name, metadata: server.source, bufferLength: 1 << 20, environment: bound)
  }

  /// The peer comes back and speaks to us first: what was cached of it is not used once more.
  @Test func aPeerThatComesBackIsPlannedAnew() throws {
    let server = try ReferenceServer()
    let name = uniqueName("phoenix")
    let near = try Engine(uniqueName("near"), server.source)
    let first = try start(name, server)
    let segment = try near.engine.openSegment(name)
    #expect(try near.write(seed: 1, to: segment, first.address).state == .completed)
    first.kill()
    let second = try start(name, server)
    #expect(try second.ask("warmup \(near.engine.name)") == "ok")
    #expect(try near.write(seed: 2, to: segment, second.address).state == .completed)
    #expect(try second.mismatch(seed: 2, length: near.length) == nil)
    #expect(try near.engine.describe(segment).buffers.map(\.address) == [second.address])
  }

  /// The peer comes back silently: what is on its way to the old one fails, the next submission finds the new one.
  @Test func aPeerThatComesBackSilentlyIsFoundOnTheSecondTry() throws {
    let server = try ReferenceServer()
    let name = uniqueName("phoenix")
    // What is sent to the dead one may only end by its deadline.
    let near = try Engine(
      uniqueName("near"), server.source, environment: bound.merging(["MC_TRANSFER_TIMEOUT": "5"]) { $1 })
    let first = try start(name, server)
    let segment = try near.engine.openSegment(name)
    #expect(try near.write(seed: 1, to: segment, first.address).state == .completed)
    first.kill()
    let second = try start(name, server)
    try second.fill(seed: 9, length: near.length)
    // Over the old links, or not at all: never into the new process.
    _ = try? near.write(seed: 2, to: segment, first.address)
    #expect(try second.mismatch(seed: 9, length: near.length) == nil || first.address == second.address)
    #expect(try near.write(seed: 3, to: segment, second.address).state == .completed)
    #expect(try second.mismatch(seed: 3, length: near.length) == nil)
  }

  /// The store still has the old descriptor while the new process answers already.
  @Test func aDescriptorOfAnotherLifeIsNotUsed() throws {
    let server = try ReferenceServer()
    let near = try Engine(uniqueName("near"), server.source)
    let name = uniqueName("other")
    let service = Impostor()
    let daemon = try HandshakeDaemon(
      options: HandshakeOptions(), service: service, group: loops, logger: Logger(label: "impostor"))
    defer { daemon.close() }
    server.set("mooncake/rpc_meta/\(name)", #"{"ip_or_host_name":"127.0.0.1","rpc_port":\#(daemon.port)}"#)
    // What a store says of addresses does not count, however it came there.
    var descriptor = SegmentDescriptor(
      name: name, transport: .efa, incarnation: "old", nicAddresses: ["nic0": [1, 2, 3]])
    descriptor.devices = [SegmentDescriptor.Device(name: "nic0", gid: "00")]
    descriptor.buffers = [
      SegmentDescriptor.Buffer(name: "cpu:0", address: 4096, length: 1 << 20, localKeys: [1], remoteKeys: [1])
    ]
    server.set("mooncake/ram/\(name)", String(decoding: descriptor.encoded(), as: UTF8.self))
    let segment = try near.engine.openSegment(name)
    #expect(code { _ = try near.write(seed: 1, to: segment, 4096) } == .peerRestarted)
    // Once for the old descriptor, once for the fresh one, which is as old.
    #expect(service.requests.withLock { $0.count } == 2)
    #expect(service.requests.withLock { $0.allSatisfy { $0.incarnation?.count == 32 } })
    #expect(code { try near.engine.warmup(segment: name) } == .peerRestarted)
  }

  @Test func everyRunHasItsOwn() throws {
    let server = try ReferenceServer()
    let name = uniqueName("runs")
    let seen = try (0..<2).map { _ in
      let near = try Engine(name, server.source)
      defer { near.engine.shutdown() }
      let text = try #require(server.value("mooncake/ram/\(name)"))
      #expect(!text.contains("moonrail_nics"))
      return try #require(try SegmentDescriptor(decoding: Array(text.utf8)).incarnation)
    }
    #expect(Set(seen).count == 2)
    #expect(seen.allSatisfy { $0.count == 32 })
  }
}

/// Answers handshakes as a process that was started after the one whose descriptor is known.
private final class Impostor: HandshakeService {
  let requests = Mutex<[ConnectionMessage]>([])

  func connection(_ request: ConnectionMessage) -> ConnectionMessage {
    requests.withLock { $0.append(request) }
    return ConnectionMessage(
      efaAddress: [1, 2, 3], localNICPath: request.peerNICPath, peerNICPath: request.localNICPath,
      nicAddresses: ["nic0": [1, 2, 3]], incarnation: "new")
  }

  func segmentDescriptor(for request: DescriptorRequest) -> [UInt8]? { nil }
  func notification(_ message: NotifyMessage) -> NotifyMessage { .accepted }
}
