import SimulatedFabric
import Synchronization
import Testing
import Wire

@testable import TransferEngine

/// What the first transfers to a peer wait for.
@Suite struct FirstContactTests {
  private static let fourNICs = {
    var options = FabricOptions()
    options.nicCount = 4
    return options
  }()

  /// Two hosts of four NICs that have not met.
  private struct Strangers {
    let source: Bytes
    let target: Bytes
    let segment: SegmentID
    let engine: TransferEngine
    private let net: Net

    init(_ net: Net) throws {
      self.net = net
      source = try Bytes(4096, seed: 3)
      target = try Bytes(4096)
      engine = net[0]
      try engine.register(source)
      try net[1].register(target)
      segment = try engine.openSegment(net[1].name)
      try tell(minutesAgo: 1)
    }

    /// As if the target had told its addresses with its descriptor then, whatever the time is that the test takes.
    func tell(minutesAgo: Int) throws {
      guard case .fabric(let peer) = try engine.segments.segment(segment).current.route else { return }
      peer.tell(net[1].identity.allAddresses, at: Clock.now &- UInt64(bitPattern: Int64(minutesAgo) * 60_000_000_000))
    }

    /// One request that a single NIC carries out.
    func write() throws -> TransferStatus {
      try engine.transfer([TransferRequest(.write, source, segment, target, 0..<64)])
    }

    /// How many NICs have a link that works.
    func connected() throws -> Int {
      let current = try engine.segments.segment(segment).current
      guard case .fabric(let peer) = current.route else { return 0 }
      return peer.connected(engine.pairs(to: current))
    }
  }

  @Test func whatTheDescriptorHasJustToldNeedNotBeAskedFor() throws {
    try Net.run(Self.fourNICs) { net in
      let hosts = try Strangers(net)
      try hosts.tell(minutesAgo: -1)
      // Whoever asks gets no answer.
      net[1].responder.withdraw()
      for count in 1...4 {
        #expect(try hosts.write().state == .completed)
        #expect(try hosts.connected() == count)
      }
      #expect(hosts.target.mismatches(3, 0..<64) == 0)
    }
  }

  /// The peer may be another process by now.
  @Test func whatItHasToldLongAgoIsAskedForAgain() throws {
    try Net.run(Self.fourNICs) { net in
      let hosts = try Strangers(net)
      net[1].responder.withdraw()
      #expect(code { _ = try hosts.write() } == .metadata)
      #expect(try hosts.connected() == 0)
    }
  }

  /// The peer learns who asks, as by a handshake, and looks out for what comes.
  @Test func whoeverAsksForTheDescriptorIsMet() throws {
    try Net.run(Self.fourNICs) { net in
      let met = Box(Mutex<[[String]]>([]))
      let publisher = net[1].publisher
      net[1].responder.publish(net[1].identity, descriptor: { publisher.encoded(for: .peer) }) { server, incarnation in
        met.value.withLock { $0.append([server, incarnation]) }
      }
      _ = try Strangers(net)
      #expect(met.value.withLock { $0 } == [[net[0].name, net[0].identity.incarnation]])
      let answer = try #require(net[1].responder.segmentDescriptor(for: DescriptorRequest(server: "upstream:1")))
      #expect(try SegmentDescriptor(decoding: answer).nicAddresses == net[1].identity.allAddresses)
      #expect(met.value.withLock { $0.count } == 1)
    }
  }

  @Test func aSmallTransferWaitsForTheNICThatItUses() throws {
    try Net.run(Self.fourNICs) { net in
      let hosts = try Strangers(net)
      for count in 1...4 {
        #expect(try hosts.write().state == .completed)
        #expect(try hosts.connected() == count)
        // It has told everything already: nobody asks it again.
        net[1].responder.withdraw()
      }
      #expect(hosts.target.mismatches(3, 0..<64) == 0)
    }
  }

  @Test func aLargeOneConnectsAll() throws {
    try Net.run(Self.fourNICs) { net in
      let hosts = try Strangers(net)
      let requests = pieces(4096, of: 64).map { TransferRequest(.write, hosts.source, hosts.segment, hosts.target, $0) }
      #expect(try hosts.engine.transfer(requests).state == .completed)
      #expect(try hosts.connected() == 4)
      #expect(hosts.target.mismatches(3) == 0)
    }
  }

  /// The peer may have closed its NICs, or be another process by now.
  @Test func thePeerIsAskedAgainWhenALinkBreaks() throws {
    try Net.run(Self.fourNICs) { net in
      let hosts = try Strangers(net)
      let asked = Box(Atomic(0))
      let publisher = net[1].publisher
      net[1].responder.publish(net[1].identity, descriptor: { publisher.encoded(for: .peer) }) { _, _ in
        asked.value.add(1, ordering: .relaxed)
      }
      #expect(try hosts.write().state == .completed)
      #expect(try hosts.write().state == .completed)
      #expect(asked.value.load(ordering: .relaxed) == 1)
      net.fabric.updateFaults { $0.fail(next: 1) }
      #expect(try hosts.write().state == .failed)
      #expect(try hosts.write().state == .completed)
      // To connect, and for its descriptor.
      #expect(asked.value.load(ordering: .relaxed) == 3)
    }
  }

  @Test func allAreConnectedAgainWhenALinkBreaks() throws {
    try Net.run(Self.fourNICs) { net in
      let hosts = try Strangers(net)
      #expect(try hosts.write().state == .completed)
      net.fabric.updateFaults { $0.fail(next: 1) }
      #expect(try hosts.write().state == .failed)
      #expect(try hosts.write().state == .completed)
      #expect(try hosts.connected() == 4)
    }
  }
}
