import SimulatedFabric
import Synchronization
import Testing

@testable import TransferEngine

@Suite struct BatchTests {
  @Test func anIdThatWasFreedIsRefusedForEver() throws {
    try Net.run(hosts: 1) { net in
      let engine = net[0]
      let old = try engine.allocateBatch(capacity: 4)
      try engine.freeBatch(old)
      var seen: Set<BatchID> = [old]
      for _ in 0..<100 {
        let new = try engine.allocateBatch(capacity: 4)
        #expect(seen.insert(new).inserted)
        for id in [
          old, BatchID(rawValue: 0), BatchID(rawValue: .max), BatchID(rawValue: 7), BatchID(rawValue: 1 << 40),
        ] {
          #expect(code { _ = try engine.status(of: id) } == .invalidArgument)
          #expect(code { _ = try engine.wait(for: id, timeout: .zero) } == .invalidArgument)
          #expect(code { try engine.freeBatch(id) } == .invalidArgument)
          #expect(code { try engine.whenDone(id) {} } == .invalidArgument)
        }
        try engine.freeBatch(new)
      }
    }
  }

  @Test func thereIsRoomForSoManyBatchesAndRequests() throws {
    let table = BatchTable()
    let ids = try (0..<BatchTable.maximumBatches).map { _ in try table.allocate(capacity: 1) }
    #expect(Set(ids).count == 65_536)
    #expect(code { _ = try table.allocate(capacity: 1) } == .tooManyRequests)
    try table.free(ids[100])
    let again = try table.allocate(capacity: 1)
    #expect(again != ids[100])
    for id in ids where id != ids[100] { try table.free(id) }

    for capacity in [0, -1, .min] { #expect(code { _ = try table.allocate(capacity: capacity) } == .invalidArgument) }
    for capacity in [BatchTable.maximumRequests, .max] {
      #expect(code { _ = try table.allocate(capacity: capacity) } == .tooManyRequests)
    }
    let large = try table.allocate(capacity: BatchTable.maximumRequests - 1)
    #expect(code { _ = try table.allocate(capacity: 1) } == .tooManyRequests)
    try table.free(large)
    try table.free(try table.allocate(capacity: 2))
  }

  /// Some programs take a number from 2^63 on for a failure, and a process that lives long gets there.
  @Test func theLastGenerationHasASmallIdAndIsFollowedByTheFirst() throws {
    let table = BatchTable()
    let first = try table.allocate(capacity: 1)
    try table.free(first)
    let second = try table.allocate(capacity: 1)
    var batch: BatchPointer?
    try table.with(second) { batch = $0 }
    let pointer = try #require(batch)
    pointer.pointee.pins.store(UInt64(UInt32.max - 1) << 32, ordering: .releasing)
    try table.free(BatchID(rawValue: UInt64(UInt32.max - 1) << 17 | 1))
    let last = try table.allocate(capacity: 1)
    #expect(last.rawValue < 1 << 49)
    #expect(code { try table.free(BatchID(rawValue: last.rawValue | 1 << 49)) } == .invalidArgument)
    try table.free(last)
    #expect(try table.allocate(capacity: 1) == first)
  }

  @Test func manyThreadsAllocateAndFree() throws {
    let table = BatchTable()
    let live = Box(Mutex<Set<BatchID>>([]))
    try onThreads(8) { index in
      for round in 0..<500 {
        let mine = try (0..<3).map { try table.allocate(capacity: 1 + (round * 7 + index + $0) % 100) }
        for id in mine { #expect(live.value.withLock { $0.insert(id).inserted }) }
        for id in mine {
          try table.with(id) { batch throws(TransferError) in #expect(batch.pointee.memory.capacity > 0) }
          _ = live.value.withLock { $0.remove(id) }
          try table.free(id)
          #expect(code { try table.free(id) } == .invalidArgument)
        }
      }
    }
  }

  @Test func aBatchTakesNoMoreThanItHasRoomFor() throws {
    try Net.run { net in
      let hosts = try TwoHosts(net)
      let batch = try hosts.engine.allocateBatch(capacity: 10)
      #expect(code { try hosts.engine.submit(hosts.requests(), to: batch) } == .tooManyRequests)
      try hosts.engine.submit(Array(hosts.requests().prefix(6)), to: batch)
      #expect(code { try hosts.engine.submit(Array(hosts.requests().prefix(5)), to: batch) } == .tooManyRequests)
      try hosts.engine.submit(Array(hosts.requests().prefix(4)), to: batch)
      #expect(try hosts.engine.wait(for: batch, timeout: .seconds(20)).transferredBytes == 640)
      #expect(code { _ = try hosts.engine.status(of: batch, task: 10) } == .invalidArgument)
      #expect(code { _ = try hosts.engine.status(of: batch, task: -1) } == .invalidArgument)
      try hosts.engine.freeBatch(batch)
    }
  }

  /// The last of the requests is wrong: none of them is under way, whether split or not.
  @Test func aCallThatThrowsHasSubmittedNothing() throws {
    try Net.run(["MC_MAX_MR_SIZE": "4096"]) { net in
      let hosts = try TwoHosts(net, count: 65_536)
      let batch = try hosts.engine.allocateBatch(capacity: 20)
      let posts = net.fabric.counters().nics.reduce(0) { $0 + $1.posts }
      let good = Array(hosts.requests(of: 16_384).reversed())
      var bad = good
      bad[3].local += 1
      for _ in 0..<3 {
        #expect(code { try hosts.engine.submit(bad, to: batch) } == .addressNotRegistered)
        #expect(try hosts.engine.status(of: batch) == TransferStatus(.completed, transferredBytes: 0))
      }
      bad = good
      bad[3].target = SegmentID(rawValue: 99)
      #expect(code { try hosts.engine.submit(bad, to: batch) } == .invalidArgument)
      bad[3].target = .local
      bad[3].remote = UInt64(bad[0].local)
      #expect(code { try hosts.engine.submit(bad, to: batch) } == nil)
      #expect(try hosts.engine.wait(for: batch, timeout: .seconds(20)).transferredBytes == 65_536)
      #expect(net.fabric.counters().nics.reduce(0) { $0 + $1.posts } == posts + 12)
      bad[0].local = 8
      #expect(code { try hosts.engine.submit(bad, to: batch) } == .addressNotRegistered)
      #expect(try hosts.engine.status(of: batch).transferredBytes == 65_536)
      try hosts.engine.submit(good, to: batch)
      #expect(try hosts.engine.wait(for: batch, timeout: .seconds(20)).transferredBytes == 131_072)
      // Nothing keeps the memory in use.
      try hosts.engine.unregister(hosts.source.start)
      try hosts.engine.freeBatch(batch)
    }
  }

  @Test func aHandlerIsCalledOnce() throws {
    try Net.run { net in
      let hosts = try TwoHosts(net)
      let calls = Box(Mutex<[String]>([]))
      let note: @Sendable (String) -> @Sendable () -> Void = { name in { calls.value.withLock { $0.append(name) } } }
      net.fabric.updateFaults { faults in faults.hold() }
      let batch = try hosts.submit(hosts.requests())
      try hosts.engine.whenDone(batch, note("first"))
      #expect(calls.value.withLock { $0 } == [])
      try hosts.engine.whenDone(batch, note("second"))
      #expect(calls.value.withLock { $0 } == ["first"])
      net.fabric.updateFaults { $0.release() }
      // By the progress thread, for nobody waits.
      #expect(eventually { calls.value.withLock { $0.count } == 2 })
      #expect(try hosts.engine.status(of: batch).state == .completed)
      try hosts.engine.whenDone(batch, note("late"))
      #expect(calls.value.withLock { $0 } == ["first", "second", "late"])
      try hosts.engine.freeBatch(batch)
      let empty = try hosts.engine.allocateBatch(capacity: 1)
      try hosts.engine.whenDone(empty, note("empty"))
      #expect(calls.value.withLock { $0 } == ["first", "second", "late", "empty"])
    }
  }

  @Test func handlersAreCalledHoweverTheRaceEnds() throws {
    try Net.run { net in
      let hosts = try TwoHosts(net)
      let called = Box(Atomic(0))
      try onThreads(4) { _ in
        for round in 0..<50 {
          let mine = Box(Atomic(0))
          let batch = try hosts.submit(Array(hosts.requests().prefix(1 + round % 8)))
          try hosts.engine.whenDone(batch) {
            mine.value.add(1, ordering: .relaxed)
            called.value.add(1, ordering: .relaxed)
          }
          #expect(eventually { mine.value.load(ordering: .relaxed) == 1 })
          #expect(try hosts.engine.status(of: batch).state == .completed)
          try hosts.engine.freeBatch(batch)
        }
      }
      #expect(called.value.load(ordering: .relaxed) == 200)
    }
  }

  /// As upstream's users do: every task is asked for, and the batch freed when the last one is done.
  @Test func aBatchCanBeFreedWhenItsTasksAreSeenDone() throws {
    try Net.run { net in
      let hosts = try TwoHosts(net)
      try onThreads(4) { index in
        for round in 0..<100 {
          let requests = Array(hosts.requests().prefix(1 + round % 20))
          let batch = try hosts.engine.allocateBatch(capacity: requests.count)
          let notification = NotificationMessage(name: "\(index)", message: "\(round)")
          try hosts.engine.submit(requests, to: batch, notification: round == 99 ? notification : nil)
          #expect(
            try eventually {
              try requests.indices.allSatisfy { try hosts.engine.status(of: batch, task: $0).isFinal }
            })
          try hosts.engine.freeBatch(batch)
        }
      }
      var arrived: [NotificationMessage] = []
      #expect(
        eventually {
          arrived += net[1].takeNotifications()
          return arrived.count == 4
        })
      #expect(arrived.map(\.name).sorted() == ["0", "1", "2", "3"])
    }
  }

  @Test func submittingWithoutWaitingForThePeer() throws {
    try Net.run { net in
      let (source, target) = (try Bytes(4096, seed: 1), try Bytes(4096))
      try net[0].register(source)
      try net[1].register(target)
      let segment = try net[0].openSegment(net[1].name)
      let batch = try net[0].allocateBatch(capacity: 4)
      let requests = pieces(4096, of: 1024).map { TransferRequest(.write, source, segment, target, $0) }
      #expect(try !net[0].submitIfConnected(requests, to: batch))
      #expect(try net[0].status(of: batch) == TransferStatus(.completed, transferredBytes: 0))
      try net[0].warmup(segment: net[1].name)
      #expect(try net[0].submitIfConnected(requests, to: batch))
      #expect(try net[0].wait(for: batch, timeout: .seconds(20)).transferredBytes == 4096)
      #expect(target.mismatches(1) == 0)
      #expect(code { _ = try net[0].submitIfConnected(requests, to: batch) } == .tooManyRequests)
    }
  }

  @Test func nothingToMoveIsDoneAtOnce() throws {
    try Net.run { net in
      let hosts = try TwoHosts(net)
      let nothing = TransferRequest(.write, hosts.source, hosts.segment, hosts.target, 0..<0)
      let batch = try hosts.engine.allocateBatch(capacity: 3)
      try hosts.engine.submit([nothing], to: batch)
      #expect(try hosts.engine.status(of: batch) == TransferStatus(.completed, transferredBytes: 0))
      #expect(try hosts.engine.status(of: batch, task: 0).state == .completed)
      try hosts.engine.submit([], to: batch)
      let message = NotificationMessage(name: "n", message: "m")
      #expect(code { try hosts.engine.submit([], to: batch, notification: message) } == .invalidArgument)
      try hosts.engine.submit([nothing], to: batch, notification: message)
      #expect(try hosts.engine.wait(for: batch, timeout: .zero).state == .completed)
      #expect(eventually { net[1].takeNotifications() == [message] })
    }
  }
}
