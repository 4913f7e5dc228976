import Fabric
import SimulatedFabric
import Synchronization
import Testing
import Wire

@testable import TransferEngine

@Suite struct RegistrationTests {
  @Test(arguments: [true, false], [UInt64(0), 1])
  func keysAreNeverPublishedAsZero(providerKeys: Bool, firstKey: UInt64) throws {
    var options = FabricOptions()
    options.nicCount = 3
    options.providerKeys = providerKeys
    options.virtualAddressing = providerKeys
    options.firstKey = firstKey
    try Net.run(options) { net in
      // The first keys of the network go to the peer.
      let (target, other, source) = (try Bytes(4096), try Bytes(4096), try Bytes(4096, seed: 4))
      try net[1].register(target)
      try net[1].register(other)
      try net[0].register(source)
      for engine in net.engines {
        let published = engine.publisher.descriptor().buffers
        #expect(!published.isEmpty && published.allSatisfy { $0.remoteKeys.count == 3 && !$0.remoteKeys.contains(0) })
        #expect(published.allSatisfy { $0.localKeys == $0.remoteKeys })
      }
      let segment = try net[0].openSegment(net[1].name)
      for far in [target, other] {
        let requests = pieces(4096, of: 256).map { TransferRequest(.write, source, segment, far, $0) }
        #expect(try net[0].transfer(requests).state == .completed)
        #expect(far.mismatches(4) == 0)
      }
    }
  }

  @Test(arguments: ["0", "1"])
  func aRefusedRegistrationNamesTheNICAndLeavesNothingBehind(parallel: String) throws {
    var options = FabricOptions()
    options.nicCount = 4
    try Net.run(options, hosts: 1, ["MC_ENABLE_PARALLEL_REG_MR": parallel]) { net in
      let (first, second) = (try Bytes(4096), try Bytes(4096))
      let registered = net.fabric.counters().openObjects["memory region"]
      net.fabric.updateFaults { $0.refusedRegistrations = 1 }
      let refusal = text { try net[0].register(first) }
      #expect(refusal.contains("fi_mr_reg on sim"))
      #expect(refusal.contains("0x" + String(UInt(bitPattern: first.start), radix: 16)))
      #expect(net.fabric.counters().openObjects["memory region"] == registered)
      // All or none: the first buffer of a list goes back too.
      net.fabric.updateFaults { $0.refusedRegistrations = 0 }
      let list = [BufferEntry(first.start, length: 4096), BufferEntry(first.start + 100, length: 8)]
      #expect(code { try net[0].register(list) } == .addressOverlapped)
      #expect(net.fabric.counters().openObjects["memory region"] == registered)
      try net[0].register([first, second].map { BufferEntry($0.start, length: $0.count) })
      #expect(net.fabric.counters().openObjects["memory region"] == 8)
    }
  }

  @Test func theNICThatRefusesIsTheOneThatIsNamed() throws {
    var options = FabricOptions()
    options.nicCount = 4
    options.providerKeys = false
    try Net.run(options, hosts: 1) { net in
      let engine = net[0]
      let rail = try #require(engine.fabric?.rails[2])
      let (first, taken, wanted) = (try Bytes(64), try Bytes(64), try Bytes(64))
      try engine.register(first)
      // The third NIC has the key that comes up for it already: three on, because the others take one each.
      let last = try #require(engine.publisher.descriptor().buffers.first?.remoteKeys.max())
      let held = RegisteredMemory(
        try rail.exclusively { () throws(FabricError) in
          try MemoryRegion(rail.domain, address: taken.start, length: 64, requestedKey: last + 3)
        })
      let refusal = text { try engine.register(wanted) }
      #expect(refusal.contains("fi_mr_reg on sim2"), "\(refusal)")
      #expect(net.fabric.counters().openObjects["memory region"] == 5)
      try rail.exclusively { () throws(FabricError) in held.close() }
      try engine.register(wanted)
      #expect(net.fabric.counters().openObjects["memory region"] == 8)
    }
  }

  @Test func rangesThatCannotBeAreRefused() throws {
    try Net.run(hosts: 1) { net in
      let engine = net[0]
      let bytes = try Bytes(16 * 4096)
      let middle = bytes.start + 4096
      try engine.register(middle, length: 4096)
      for (offset, length) in [(4096, 4096), (0, 4097), (8191, 2), (0, 65536), (5000, 10)] {
        #expect(code { try engine.register(bytes.start + offset, length: length) } == .addressOverlapped)
      }
      try engine.register(bytes.start, length: 4096)
      try engine.register(bytes.start + 8192, length: 4096)
      for length in [0, -1, .min] {
        #expect(code { try engine.register(bytes.start + 12_288, length: length) } == .invalidArgument)
      }
      #expect(code { try engine.register(bytes.start + 12_288, length: .max) } != nil)
      let last = try #require(UnsafeMutableRawPointer(bitPattern: UInt.max - 4095))
      #expect(code { try engine.register(last, length: 4097) } == .invalidArgument)
      #expect(code { try engine.register(bytes.start + 12_288, length: 64, location: "cuda:0") } == .invalidArgument)
      #expect(code { try engine.unregister(bytes.start + 1) } == .addressNotRegistered)
      try engine.unregister([bytes.start, middle])
      #expect(code { try engine.unregister([middle, bytes.start + 8192]) } == .addressNotRegistered)
      #expect(net.fabric.counters().openObjects["memory region"] == nil)
      try engine.register(bytes.start, length: 12_288)
    }
  }

  @Test func aBufferInUseIsWithdrawnWhenItsTransfersAreDone() throws {
    try Net.run { net in
      let hosts = try TwoHosts(net)
      net.fabric.updateFaults { faults in faults.hold() }
      let batch = try hosts.submit(hosts.requests())
      let fabric = net.fabric
      let isWithdrawn = Box(Atomic(false))
      let thread = JoinableThread(
        try Thread(name: "withdraw") {
          try? hosts.engine.unregister(hosts.source.start)
          // The transfer is done, whoever drove it.
          #expect((try? hosts.engine.status(of: batch))?.state == .completed)
          isWithdrawn.value.store(true, ordering: .relaxed)
        })
      // Nobody can plan with it from the moment of the call on, and nobody can take its place before the end of it.
      let registry = hosts.engine.registry
      #expect(eventually { registry.snapshot.index(of: UInt(bitPattern: hosts.source.start)) == nil })
      #expect(code { _ = try hosts.engine.transfer(hosts.requests()) } == .addressNotRegistered)
      #expect(code { try hosts.engine.register(hosts.source) } == .addressOverlapped)
      let isEarly = isWithdrawn.value.load(ordering: .relaxed)
      #expect(!isEarly)
      fabric.updateFaults { $0.release() }
      thread.join()
      let isLate = isWithdrawn.value.load(ordering: .relaxed)
      #expect(isLate)
      try hosts.engine.freeBatch(batch)
      #expect(hosts.target.mismatches(5) == 0)
      try hosts.engine.register(hosts.source)
      #expect(try hosts.engine.transfer(hosts.requests()).state == .completed)
    }
  }

  /// Planning holds the memory that it has looked up: one that is withdrawn at that moment is refused or waited for.
  @Test func withdrawingWhileOthersSubmitIsSafe() throws {
    var options = FabricOptions()
    options.localRegistration = true
    try Net.run(options) { net in
      let hosts = try TwoHosts(net)
      let engine = hosts.engine
      let buffers = try (0..<3).map { try Bytes(4096, seed: UInt8($0)) }
      try onThreads(6) { index in
        let mine = buffers[index % 3]
        for _ in 0..<40 {
          if index < 3 {
            try engine.register(mine)
            try engine.unregister(mine.start)
          } else {
            let requests = pieces(4096, of: 512).map { TransferRequest(.read, mine, hosts.segment, hosts.target, $0) }
            do {
              #expect(try engine.transfer(requests).state == .completed)
            } catch let error as TransferError {
              #expect(error.code == .addressNotRegistered)
            }
          }
        }
      }
    }
  }

  @Test func thousandsOfSmallBuffersAreFoundEach() throws {
    try Net.run { net in
      let (near, far) = (try Bytes(1000 * 64, seed: 8), try Bytes(1000 * 64))
      let order = (0..<1000).map { $0 * 7 % 1000 }
      try net[0].register(order.map { BufferEntry(near.start + $0 * 64, length: 64) })
      for index in order { try net[1].register(far.start + index * 64, length: 64) }
      let segment = try net[0].openSegment(net[1].name)
      #expect(try net[0].describe(segment).buffers.count == 1000)
      let request = TransferRequest(.write, near, segment, far, 0..<far.count)
      #expect(try net[0].transfer([request]) == TransferStatus(.completed, transferredBytes: UInt64(far.count)))
      #expect(far.mismatches(8) == 0)
      try net[0].unregister((0..<1000).map { near.start + $0 * 64 })
      #expect(code { _ = try net[0].transfer([request]) } == .addressNotRegistered)
    }
  }
}
