import Logging
import Metadata
import NIOCore
import NIOPosix
import SimulatedFabric
import Synchronization
import Testing
import Wire

@testable import TransferEngine

/// A peer that says whatever the test wants. Its descriptor may break every rule.
final class FakePeer: HandshakeService {
  private let text: Mutex<[UInt8]>
  private let reply: Mutex<ConnectionMessage>
  private let daemon = Mutex<HandshakeDaemon?>(nil)
  private let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

  var name: String { "127.0.0.1:\(daemon.withLock { $0?.port ?? 0 })" }

  init(reply: ConnectionMessage = ConnectionMessage()) throws {
    text = Mutex([])
    self.reply = Mutex(reply)
    let opened = try HandshakeDaemon(
      options: HandshakeOptions(), service: self, group: group,
      logger: Logger(label: "fake") { _ in SwiftLogNoOpLogHandler() })
    daemon.withLock { $0 = opened }
  }

  func close() {
    daemon.withLock { $0 }?.close()
    group.shutdownGracefully { _ in }
  }

  /// Publishes what an engine of that name would, after `change`.
  func publish(_ change: (inout SegmentDescriptor) -> Void) {
    var descriptor = SegmentDescriptor(name: name, transport: .efa)
    descriptor.devices = [SegmentDescriptor.Device(name: "sim0", lid: 0, gid: "00")]
    descriptor.buffers = [
      SegmentDescriptor.Buffer(name: "cpu:0", address: 0x1000, length: 0x1000, localKeys: [1], remoteKeys: [1])
    ]
    change(&descriptor)
    publish(descriptor.encoded())
  }

  func publish(_ body: [UInt8]) { text.withLock { $0 = body } }
  func answer(_ message: ConnectionMessage) { reply.withLock { $0 = message } }

  func connection(_ request: ConnectionMessage) -> ConnectionMessage { reply.withLock { $0 } }
  func segmentDescriptor(for request: DescriptorRequest) -> [UInt8]? { text.withLock { $0 } }
  func notification(_ message: NotifyMessage) -> NotifyMessage { .accepted }
}

@Suite struct HostilePeerTests {
  /// Runs `body` with an engine, a buffer of it, and a peer that may say anything; the engine works afterwards.
  private func facing(_ body: (TransferEngine, Bytes, FakePeer, Net) throws -> Void) throws {
    try Net.run { net in
      let peer = try FakePeer()
      defer { peer.close() }
      let hosts = try TwoHosts(net)
      try body(net[0], hosts.source, peer, net)
      #expect(try net[0].transfer(hosts.requests()).state == .completed)
    }
  }

  private func write(_ bytes: Bytes, to segment: SegmentID, at remote: UInt64, _ length: Int = 16) -> TransferRequest {
    TransferRequest(.write, local: bytes.start, target: segment, remote: remote, length: length)
  }

  @Test func descriptorsThatCannotBeAreRefused() throws {
    try facing { engine, _, peer, _ in
      peer.publish { $0.buffers[0].remoteKeys = [1, 2] }
      #expect(code { _ = try engine.openSegment(peer.name) } == .metadata)
      peer.publish { $0.devices = [] }
      #expect(code { _ = try engine.openSegment(peer.name) } == .metadata)
      peer.publish { $0.name = "" }
      #expect(code { _ = try engine.openSegment(peer.name) } == .metadata)
      for body in ["", "null", "[]", "7", "{", "{\"protocol\":\"efa\"}", "{\"name\":1}", "\u{0}"] {
        peer.publish(Array(body.utf8))
        #expect(code { _ = try engine.openSegment(peer.name) } != nil)
        #expect(code { try engine.warmup(segment: peer.name) } != nil)
      }
    }
  }

  @Test func aPeerWithoutNICsOrMemoryHasNothingToTransferTo() throws {
    try facing { engine, bytes, peer, _ in
      peer.publish { descriptor in
        descriptor.devices = []
        descriptor.buffers[0].localKeys = []
        descriptor.buffers[0].remoteKeys = []
      }
      let segment = try engine.openSegment(peer.name)
      #expect(try engine.warmup(segment: peer.name).pairs == 0)
      #expect(code { _ = try engine.transfer([write(bytes, to: segment, at: 0x1000)]) } == .metadata)
      // It gets NICs, and loses them.
      peer.answer(ConnectionMessage(efaAddress: [], localNICPath: "a", peerNICPath: "b"))
      peer.publish { _ in }
      #expect(code { _ = try engine.transfer([write(bytes, to: segment, at: 0x1000)]) } == .handshakeRejected)
    }
  }

  @Test func rangesThatOverlapOrWrapAreNotFollowedBeyondTheirEnd() throws {
    try facing { engine, bytes, peer, net in
      peer.publish { descriptor in
        let ranges: [(UInt64, UInt64)] = [
          (0x1000, 0x2000), (0x1800, 0x10), (0x1000, 1), (.max - 0xff, .max), (0x4000, .max), (1, 1),
        ]
        descriptor.buffers = ranges.map {
          SegmentDescriptor.Buffer(name: "*", address: $0, length: $1, localKeys: [9], remoteKeys: [9])
        }
      }
      // A live address, so that the requests get as far as the fabric, which refuses the key.
      let address = net.fabric.counters().endpoints[2].address
      peer.answer(ConnectionMessage(efaAddress: address))
      let segment = try engine.openSegment(peer.name)
      for remote in [0x1000, 0x1805, 0x2ff0, 0x9000, UInt64.max - 0xff, .max - 0x10] as [UInt64] {
        #expect(try engine.transfer([write(bytes, to: segment, at: remote)]).state == .failed)
      }
      for remote in [0, 0xfff, 2, UInt64.max] as [UInt64] {
        #expect(code { _ = try engine.transfer([write(bytes, to: segment, at: remote)]) } == .metadata)
      }
      #expect(try engine.transfer([write(bytes, to: segment, at: .max - 0x20, 0x20)]).isFinal)
      #expect(code { _ = try engine.transfer([write(bytes, to: segment, at: .max - 8, 64)]) } == .metadata)
    }
  }

  @Test func addressesThatAreNoneAreRefused() throws {
    try facing { engine, bytes, peer, net in
      peer.publish { _ in }
      let segment = try engine.openSegment(peer.name)
      let good = net.fabric.counters().endpoints[2].address
      let bad: [[UInt8]] = [
        [], [0], Array(repeating: 0, count: 32), [1], Array(good.dropLast()), good + [0],
        Array(repeating: 7, count: 4096),
      ]
      for address in bad {
        for all in [nil, [:], ["sim0": address], ["other": good], ["sim0": [], "sim1": good]] as [[String: [UInt8]]?] {
          // An answer of all addresses at once goes before the one.
          peer.answer(ConnectionMessage(efaAddress: all == nil ? address : good, nicAddresses: all))
          let refusal = code { _ = try engine.transfer([write(bytes, to: segment, at: 0x1000)]) }
          #expect(refusal == .handshakeRejected || refusal == .endpoint)
          #expect(code { try engine.warmup(segment: peer.name) } == refusal)
        }
      }
      peer.answer(ConnectionMessage(efaAddress: good, replyMessage: "not today"))
      #expect(text { try engine.warmup(segment: peer.name) }.contains("not today"))
      peer.answer(ConnectionMessage(efaAddress: good))
      #expect(try engine.warmup(segment: peer.name).connected == 2)
    }
  }

  @Test func oddNamesAreNames() throws {
    try facing { engine, _, peer, net in
      let good = net.fabric.counters().endpoints[2].address
      let names = ["", "@", "a@b", "sim0", "sim0", "\u{0}", "\"\\\n", "🦀", String(repeating: "x", count: 10_000)]
      peer.publish { descriptor in
        descriptor.devices = names.dropFirst().map { SegmentDescriptor.Device(name: $0, lid: 0, gid: "zz") }
        descriptor.buffers = []
        descriptor.rdmaServerName = peer.name
        descriptor.priorityMatrix = ["*": SegmentDescriptor.Priority(preferred: names, others: ["@"])]
      }
      peer.answer(ConnectionMessage(efaAddress: good, nicAddresses: nil))
      #expect(try engine.warmup(segment: peer.name).peerNICs == names.count - 1)
      let segment = try engine.openSegment(peer.name)
      #expect(try engine.describe(segment).nics == Array(names.dropFirst()))
      try engine.closeSegment(segment)
      #expect(code { _ = try engine.describe(segment) } == .invalidArgument)
    }
  }

  @Test func aSegmentOfAnotherTransportIsNotSupported() throws {
    try facing { engine, bytes, peer, _ in
      peer.publish(
        SegmentDescriptor(
          name: peer.name, transport: .other("rdma"),
          buffers: [SegmentDescriptor.Buffer(name: peer.name, address: 0x1000, length: 0x1000)]
        ).encoded())
      let segment = try engine.openSegment(peer.name)
      #expect(try engine.describe(segment).transport == "rdma")
      #expect(code { _ = try engine.transfer([write(bytes, to: segment, at: 0x1000)]) } == .transportNotSupported)
      #expect(code { try engine.warmup(segment: peer.name) } == .transportNotSupported)
    }
  }

  /// The peer has fewer NICs whenever it is looked at again, while many threads connect.
  @Test func aPeerThatChangesItsNICsWhileWeConnect() throws {
    try facing { engine, bytes, peer, net in
      let good = net.fabric.counters().endpoints[2].address
      let publish: @Sendable (Int) -> Void = { count in
        peer.publish { descriptor in
          descriptor.devices = (0..<count).map { SegmentDescriptor.Device(name: "x\($0)", lid: 0, gid: "00") }
          var keys = [UInt64](repeating: 0, count: count)
          keys[count - 1] = 77
          descriptor.buffers[0].localKeys = keys
          descriptor.buffers[0].remoteKeys = keys
        }
      }
      publish(40)
      peer.answer(ConnectionMessage(efaAddress: good))
      let segment = try engine.openSegment(peer.name)
      try onThreads(4) { index in
        for round in 0..<30 {
          if index == 0 { publish(1 + round * 7 % 40) }
          // A request for memory that is not there has the segment looked up again.
          let remote: UInt64 = index == 1 ? 0x9999_0000 : 0x1000
          let outcome = code { _ = try engine.transfer([write(bytes, to: segment, at: remote)]) }
          #expect(outcome == nil || outcome == .metadata || outcome == .endpoint)
        }
      }
    }
  }
}
