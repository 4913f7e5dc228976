import CHeap
import Fabric
import Logging
import Metadata
import NIOCore
import NIOPosix
import SimulatedFabric
import Synchronization
import Testing
import Wire

@testable import TransferEngine

/// Peers of 32 NICs each that exist only as far as they publish something and answer handshakes.
private final class Crowd: Sendable {
  /// One of them. It publishes eight buffers, one for each GPU, as a host of that size would.
  private final class Member: HandshakeService {
    let descriptor = Mutex<[UInt8]>([])
    let addresses: [String: [UInt8]]

    init(_ addresses: [String: [UInt8]]) { self.addresses = addresses }

    func connection(_ request: ConnectionMessage) -> ConnectionMessage {
      var reply = ConnectionMessage()
      reply.efaAddress = addresses.values.first ?? []
      reply.nicAddresses = addresses
      return reply
    }
    func segmentDescriptor(for request: DescriptorRequest) -> [UInt8]? { descriptor.withLock { $0 } }
    func notification(_ message: NotifyMessage) -> NotifyMessage { .accepted }
  }

  let names: [String]
  private let daemons: [HandshakeDaemon]
  private let group: MultiThreadedEventLoopGroup

  init(_ count: Int, nics: [String], addressLength: Int) throws {
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    self.group = group
    var names: [String] = []
    daemons = try (0..<count).map { member in
      let addresses = nics.indices.map { nic in
        (nics[nic], (0..<addressLength).map { UInt8(truncatingIfNeeded: member >> ($0 % 2 * 8) + nic + 1 + $0) })
      }
      let service = Member(Dictionary(addresses, uniquingKeysWith: { first, _ in first }))
      let daemon = try HandshakeDaemon(
        options: HandshakeOptions(), service: service, group: group,
        logger: Logger(label: "crowd") { _ in SwiftLogNoOpLogHandler() })
      let name = "127.0.0.1:\(daemon.port)"
      names.append(name)
      var descriptor = SegmentDescriptor(name: name, transport: .efa)
      let gid = String(repeating: "fe80", count: 16)
      descriptor.devices = nics.map { SegmentDescriptor.Device(name: $0, gid: gid) }
      descriptor.buffers = (0..<8).map { gpu in
        let keys = nics.indices.map { UInt64(member << 16 + gpu << 8 + $0 + 1) }
        return SegmentDescriptor.Buffer(
          name: "cuda:\(gpu)", address: UInt64(gpu + 1) << 32, length: 1 << 30, localKeys: keys, remoteKeys: keys)
      }
      for location in ["cpu:0", "cpu:1"] + (0..<8).map({ "cuda:\($0)" }) {
        descriptor.priorityMatrix[location] = SegmentDescriptor.Priority(
          preferred: Array(nics.prefix(4)), others: Array(nics.dropFirst(4)))
      }
      descriptor.nicAddresses = service.addresses
      let text = descriptor.encoded()
      service.descriptor.withLock { $0 = text }
      return daemon
    }
    self.names = names
  }

  func close() {
    for daemon in daemons { daemon.close() }
    group.shutdownGracefully { _ in }
  }
}

@Suite struct ManyPeersTests {
  /// In a process of its own, where nobody else allocates.
  @Test func aPeerOf32NICsTakesLessThan16KiB() async {
    await #expect(processExitsWith: .success) {
      var options = FabricOptions()
      options.nicCount = 32
      let fabric = NullFabric(options)
      let engine = try TransferEngine(
        Configuration(
          localServerName: "127.0.0.1", provider: options.providerName, environment: ["MOONRAIL_TCP": "0"]),
        library: FabricLibrary(supplied: fabric.functions, name: "null"),
        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
      let (first, rest) = (20, 300)
      let crowd = try Crowd(
        first + rest, nics: engine.identity.devices, addressLength: engine.identity.addresses[0].count)
      // What the first ones make grow is not the others'.
      for name in crowd.names.prefix(first) {
        _ = try engine.openSegment(name)
        try engine.warmup(segment: name)
      }
      let start = cheap_bytes_in_use()
      for name in crowd.names.dropFirst(first) { _ = try engine.openSegment(name) }
      let known = (cheap_bytes_in_use() - start) / rest
      for name in crowd.names.dropFirst(first) {
        #expect(try engine.warmup(segment: name).connected == 32)
      }
      let active = (cheap_bytes_in_use() - start) / rest
      print("bytes per peer of 32 NICs and 8 buffers: known \(known), connected to \(active)")
      // Nothing at all would mean that this does not see what it looks for.
      #expect(known > 500 && known < 8 << 10, "\(known)")
      #expect(active > known + 32 * 64 && active < 16 << 10, "\(active)")
      engine.shutdown()
      crowd.close()
    }
  }

  @Test func hostsOfOneKindShareTheListOfTheirNICs() throws {
    try Net.run(hosts: 3) { net in
      let segments = try (1...2).map { try net[0].segments.segment(try net[0].openSegment(net[$0].name)) }
      #expect(segments[0].current.snapshot.nics === segments[1].current.snapshot.nics)
      #expect(segments[0].current.snapshot.nics.names == net[1].identity.devices)
    }
  }

  /// The usual NIC of a rail is not the only one that it can have a link to.
  @Test func memoryThatIsOnAnotherNICThanTheUsualIsReached() throws {
    try Net.run { net in
      let (source, target) = (try Bytes(4096, seed: 9), try Bytes(4096))
      try net[0].register(source)
      try net[1].register(target)
      let peer = try FakePeer()
      defer { peer.close() }
      var descriptor = net[1].publisher.descriptor()
      (descriptor.name, descriptor.incarnation, descriptor.tcpDataPort) = (peer.name, nil, 0)
      descriptor.buffers[0].remoteKeys[0] = 0
      peer.publish(descriptor.encoded())
      var reply = ConnectionMessage()
      reply.efaAddress = net[1].identity.addresses[1]
      peer.answer(reply)
      let segment = try net[0].openSegment(peer.name)
      let requests = pieces(4096, of: 64).map { TransferRequest(.write, source, segment, target, $0) }
      #expect(try net[0].transfer(requests) == TransferStatus(.completed, transferredBytes: 4096))
      #expect(target.mismatches(9) == 0)
      #expect(net[0].nics.allSatisfy { $0.completedOperations == 32 })
    }
  }
}
