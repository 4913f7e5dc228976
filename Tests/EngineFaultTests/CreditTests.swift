import SimulatedFabric
import Synchronization
import Testing

@testable import TransferEngine

/// A network's shape and its ill will.
struct Weather: CustomTestStringConvertible, Sendable {
  var depth: Int
  var seed: UInt64
  var refusing: Double
  var virtual = true
  var testDescription: String { "depth \(depth), seed \(seed), \(refusing) refused" }

  func options(nics: Int) -> FabricOptions {
    var options = FabricOptions()
    options.nicCount = nics
    options.transmitDepth = depth
    options.seed = seed
    options.virtualAddressing = virtual
    options.providerKeys = virtual
    options.localRegistration = true
    options.contextSpace = true
    return options
  }
}

@Suite struct CreditTests {
  @Test(arguments: [
    Weather(depth: 4, seed: 1, refusing: 0), Weather(depth: 4, seed: 2, refusing: 0.3),
    Weather(depth: 7, seed: 3, refusing: 0.1), Weather(depth: 16, seed: 4, refusing: 0.5, virtual: false),
    Weather(depth: 33, seed: 5, refusing: 0.05), Weather(depth: 64, seed: 6, refusing: 0.2),
    Weather(depth: 1, seed: 7, refusing: 0.2, virtual: false),
  ])
  func moreWorkThanCreditsAllCompletesByteExact(weather: Weather) throws {
    try Net.run(weather.options(nics: 2)) { net in
      net.fabric.updateFaults { faults in
        faults.reorder = true
        faults.completionDelay = 0...6
        if weather.refusing > 0 { faults.refuse(probability: weather.refusing) }
      }
      let (size, threads) = (64 * 1024, 6)
      let sources = try (0..<threads).map { try Bytes(size, seed: UInt8($0)) }
      let targets = try (0..<threads).map { _ in try Bytes(size) }
      let backs = try (0..<threads).map { _ in try Bytes(size) }
      for bytes in sources + backs { try net[0].register(bytes) }
      for bytes in targets { try net[1].register(bytes) }
      let segment = try net[0].openSegment(net[1].name)
      let engine = net[0]
      try onThreads(threads) { index in
        for (opcode, bytes) in [(TransferOpcode.write, sources[index]), (.read, backs[index])] {
          let batch = try engine.allocateBatch(capacity: 256)
          for quarter in pieces(size, of: size / 4) {
            let requests = pieces(quarter.count, of: 256).map { piece in
              TransferRequest(
                opcode, bytes, segment, targets[index],
                quarter.lowerBound + piece.lowerBound..<quarter.lowerBound + piece.upperBound)
            }
            try engine.submit(requests, to: batch)
          }
          let status = try engine.wait(for: batch, timeout: .seconds(20))
          #expect(status == TransferStatus(.completed, transferredBytes: UInt64(size)))
          for task in 0..<256 {
            #expect(try engine.status(of: batch, task: task) == TransferStatus(.completed, transferredBytes: 256))
          }
          try engine.freeBatch(batch)
        }
        #expect(targets[index].mismatches(UInt8(index)) == 0)
        #expect(backs[index].mismatches(UInt8(index)) == 0)
      }
      let counters = net.fabric.counters()
      #expect(counters.nics.allSatisfy { $0.maximumInFlight <= weather.depth && $0.completions > 0 })
      #expect(weather.refusing == 0 || counters.nics.contains { $0.refusals > 0 })
      for nic in net[0].nics {
        #expect(nic.credits == weather.depth && nic.maximumInFlight <= nic.credits)
        #expect(nic.maximumInFlight >= max(1, weather.depth / 2))
      }
      #expect(net[0].nics.reduce(0) { $0 + $1.transferredBytes } == UInt64(2 * threads * size))
    }
  }

  @Test func refusalsForAWhileAreWaitedOut() throws {
    try Net.run { net in
      let (source, target) = (try Bytes(4096, seed: 3), try Bytes(4096))
      try net[0].register(source)
      try net[1].register(target)
      let segment = try net[0].openSegment(net[1].name)
      net.fabric.updateFaults { $0.refuse(next: 500) }
      let requests = pieces(4096, of: 64).map { TransferRequest(.write, source, segment, target, $0) }
      #expect(try net[0].transfer(requests) == TransferStatus(.completed, transferredBytes: 4096))
      #expect(target.mismatches(3) == 0)
      #expect(net.fabric.counters().nics.reduce(0) { $0 + $1.refusals } == 500)
    }
  }

  @Test func requestsLongerThanAnOperationCanBeAreSplit() throws {
    var options = FabricOptions()
    options.maximumMessageSize = 1000
    try Net.run(options) { net in
      let hosts = try TwoHosts(net, count: 65_536)
      #expect(
        try hosts.engine.transfer(hosts.requests(of: 50_000)) == TransferStatus(.completed, transferredBytes: 65_536))
      #expect(hosts.target.mismatches(5) == 0)
    }
  }

  @Test func theQueueOfCompletionsBoundsTheCreditsToo() throws {
    var options = FabricOptions()
    options.transmitDepth = 64
    options.completionQueueSize = 16
    try Net.run(options) { net in
      let (source, target) = (try Bytes(8192, seed: 9), try Bytes(8192))
      try net[0].register(source)
      try net[1].register(target)
      let segment = try net[0].openSegment(net[1].name)
      #expect(net[0].nics.map(\.credits) == [16, 16])
      let requests = pieces(8192, of: 32).map { TransferRequest(.write, source, segment, target, $0) }
      #expect(try net[0].transfer(requests).state == .completed)
      #expect(target.mismatches(9) == 0)
    }
  }

  /// The fabric itself notices two threads inside one domain.
  @Test func submittingRegisteringAndConnectingAtOnceKeepOneThreadPerNIC() throws {
    var options = FabricOptions()
    options.nicCount = 4
    options.transmitDepth = 16
    try Net.run(options, hosts: 3, ["MC_EFA_CQ_THREADS": "2", "MC_ENABLE_PARALLEL_REG_MR": "1"]) { net in
      let size = 16 * 1024
      let sources = try (0..<16).map { try Bytes(size, seed: UInt8($0)) }
      let targets = try (0..<16).map { _ in try Bytes(size) }
      let (engine, peers) = (net[0], [net[1], net[2]])
      for bytes in sources { try engine.register(bytes) }
      for (index, bytes) in targets.enumerated() { try peers[index % 2].register(bytes) }
      let segments = try peers.map { try engine.openSegment($0.name) }
      let others = try (0..<3).map { _ in try Bytes(4096) }
      try onThreads(20) { index in
        switch index {
        case 0..<16:
          for _ in 0..<6 {
            let requests = pieces(size, of: 256).map {
              TransferRequest(.write, sources[index], segments[index % 2], targets[index], $0)
            }
            let status = try engine.transfer(requests)
            #expect(status == TransferStatus(.completed, transferredBytes: UInt64(size)))
          }
          #expect(targets[index].mismatches(UInt8(index)) == 0)
        case 16..<19:
          let bytes = others[index - 16]
          for _ in 0..<25 {
            try engine.register(bytes)
            try engine.unregister(bytes.start)
          }
        default:
          for _ in 0..<25 {
            try engine.warmup(segment: peers[0].name)
            try engine.closeSegment(try engine.openSegment(peers[1].name))
            _ = engine.nics
          }
        }
      }
    }
  }

  /// Dead peers keep their operations, and the credits that these hold, for as long as the fabric likes.
  @Test(arguments: [(1, 64), (1, 8), (2, 64), (4, 64), (3, 256)])
  func deadPeersStarveNobody(dead: Int, depth: Int) throws {
    var options = FabricOptions()
    options.nicCount = 1
    options.transmitDepth = depth
    try Net.run(options, hosts: dead + 2) { net in
      let (source, target) = (try Bytes(4096, seed: 7), try Bytes(4096))
      try net[0].register(source)
      let sinks = try (1...dead).map { _ in try Bytes(4096) }
      for (peer, sink) in zip(net.engines.dropFirst(), sinks) { try peer.register(sink) }
      let alive = net[dead + 1]
      try alive.register(target)
      // One endpoint per engine, in order of creation.
      net.fabric.updateFaults { faults in
        for peer in 1...dead { faults.hold(.destination(peer)) }
      }
      var stuck: [BatchID] = []
      for peer in 1...dead {
        let segment = try net[0].openSegment(net[peer].name)
        let batch = try net[0].allocateBatch(capacity: 3000)
        try net[0].submit(
          (0..<3000).map { _ in
            TransferRequest(.write, source, segment, sinks[peer - 1], 0..<1)
          }, to: batch)
        stuck.append(batch)
      }
      let segment = try net[0].openSegment(alive.name)
      for _ in 0..<5 {
        let requests = pieces(4096, of: 64).map { TransferRequest(.write, source, segment, target, $0) }
        #expect(try net[0].transfer(requests, within: .seconds(10)).state == .completed)
      }
      #expect(target.mismatches(7) == 0)
      for batch in stuck { #expect(try net[0].status(of: batch).state == .waiting) }
      net.fabric.updateFaults { $0.release() }
      for batch in stuck {
        #expect(try net[0].wait(for: batch, timeout: .seconds(20)).state == .completed)
        try net[0].freeBatch(batch)
      }
    }
  }
}
