import Fabric
import SimulatedFabric
import Testing
import Wire

@testable import TransferEngine

/// Collects what a plan comes to.
struct Collector: Plan.Sink {
  /// With the number of requests that each carries out.
  var slices: [(index: Int, slice: Plan.Slice, requestCount: Int)] = []
  var parts: [Int: Int] = [:]

  mutating func append(_ slice: Plan.Slice, of index: Int) { slices.append((index, slice, 1)) }

  mutating func extend(by length: Int, with index: Int) {
    guard let last = slices.indices.last, slices[last].index + slices[last].requestCount == index else {
      Issue.record("request \(index) does not follow the last operation")
      return
    }
    slices[last].slice.length += length
    slices[last].requestCount += 1
  }

  mutating func finish(_ index: Int, parts: Int) { self.parts[index] = parts }
}

/// A layout to plan on: local chunks as `(start, length)`, each on all `rails`, and the peer's buffers.
struct Layout {
  var rails = ["sim0", "sim1"]
  var peerNICs = ["sim0", "sim1"]
  /// The rails that local chunks are registered with; nil: all.
  var local: [(start: UInt, length: Int, rails: [Int]?)] = []
  var remote: [(start: UInt64, length: UInt64, keys: [UInt64]?)] = []
  var near: [Int] = []
  var usesVirtualAddresses = true
  var maximumLength = Int.max
  /// Bytes of the whole call, which decide how long operations are.
  var total = 0

  func plan() throws -> Plan {
    let fabric = SimulatedFabric()
    let offers = try ProviderQuery(provider: "sim").offers(FabricLibrary(supplied: fabric.functions, name: "test"))
    let domain = try Domain(offers[0])
    let anchor = UnsafeMutableRawPointer.allocate(byteCount: 64, alignment: 64)
    defer { anchor.deallocate() }
    let regions = try local.map { chunk in
      let keys = try rails.indices.map { rail in
        guard chunk.rails?.contains(rail) ?? true else { return nil as RegisteredMemory? }
        return RegisteredMemory(try MemoryRegion(domain, address: anchor, length: 64, requestedKey: 0))
      }
      return Region(
        start: chunk.start, length: chunk.length, location: "cpu:0", access: .readWrite,
        chunks: [Region.Chunk(start: chunk.start, length: chunk.length, keys: keys)])
    }
    var descriptor = SegmentDescriptor(name: "peer:1", transport: .efa)
    descriptor.devices = peerNICs.map { SegmentDescriptor.Device(name: $0, lid: 0, gid: "00") }
    descriptor.buffers = remote.enumerated().map { index, buffer in
      let keys = buffer.keys ?? peerNICs.indices.map { UInt64(100 * (index + 1) + $0) }
      return SegmentDescriptor.Buffer(
        name: "cpu:0", address: buffer.start, length: buffer.length, localKeys: keys, remoteKeys: keys)
    }
    return Plan(
      local: LocalSnapshot(regions: regions) { _ in near },
      peer: PeerSnapshot(descriptor, nics: PeerNICs(peerNICs, rails: rails), needsKeys: true),
      usesVirtualAddresses: usesVirtualAddresses,
      size: OperationSize(total: total, maximum: maximumLength))
  }

  func make(_ requests: [(local: UInt, remote: UInt64, length: Int)], turn: UInt64 = 0) throws -> Collector {
    var collector = Collector()
    try run(requests, turn: turn, into: &collector)
    return collector
  }

  func run(
    _ requests: [(local: UInt, remote: UInt64, length: Int)], opcodes: [TransferOpcode] = [], turn: UInt64 = 0,
    into collector: inout Collector
  ) throws {
    let plan = try plan()
    let requests = requests.enumerated().compactMap { index, request in
      UnsafeMutableRawPointer(bitPattern: request.local).map {
        TransferRequest(
          index < opcodes.count ? opcodes[index] : .write, local: $0, target: SegmentID(rawValue: 1),
          remote: request.remote, length: request.length)
      }
    }
    try requests.withUnsafeBufferPointer { try plan.make($0, turn: turn, into: &collector) }
  }
}

private func isSame(_ slice: Plan.Slice, _ local: UInt, _ remote: UInt64, _ length: Int) -> Bool {
  slice.local == local && slice.remote == remote && slice.length == length
}

/// Requests of `length` bytes that follow one another on both sides.
private func neighbours(_ count: Int, _ length: Int) -> [(local: UInt, remote: UInt64, length: Int)] {
  (0..<count).map { (0x1_0000 + UInt($0 * length), 0x90_0000 + UInt64($0 * length), length) }
}

@Suite struct PlanTests {
  @Test func aRequestInsideOneRegistrationOnEachSideIsOneOperation() throws {
    let layout = Layout(local: [(0x1000, 0x1000, nil)], remote: [(0x9000, 0x1000, nil)])
    let plan = try layout.make([(0x1800, 0x9000, 0x800)])
    #expect(plan.slices.count == 1)
    let slice = try #require(plan.slices.first).slice
    #expect(isSame(slice, 0x1800, 0x9000, 0x800) && !slice.isPart)
    #expect(plan.parts == [0: 1])
  }

  @Test func whatIsLongerThanAnOperationCanBeIsSplit() throws {
    var layout = Layout(local: [(0x1000, 0x1000, nil)], remote: [(0x9000, 0x1000, nil)])
    layout.maximumLength = 0x600
    let plan = try layout.make([(0x1000, 0x9000, 0x1000), (0x1000, 0x9000, 0x600)])
    #expect(plan.slices.map(\.slice.length) == [0x600, 0x600, 0x400, 0x600])
    #expect(plan.slices.map(\.slice.isPart) == [true, true, true, false])
  }

  @Test func nothingToMoveIsNoOperation() throws {
    let layout = Layout()
    let plan = try layout.make([(0x10, 0x20, 0)])
    #expect(plan.slices.isEmpty && plan.parts == [0: 0])
  }

  @Test func neighboursBecomeOneOperation() throws {
    var layout = Layout(
      rails: ["sim0"], peerNICs: ["sim0"], local: [(0x1_0000, 8 << 20, nil)], remote: [(0x90_0000, 8 << 20, nil)])
    // Without so much to move that it would be worth longer ones, up to the shortest that is aimed at.
    var plan = try layout.make(neighbours(64, 4096))
    #expect(plan.slices.map(\.index) == [0, 32])
    #expect(plan.slices.map(\.requestCount) == [32, 32])
    #expect(plan.slices.map(\.slice.length) == [128 << 10, 128 << 10])
    #expect(plan.slices.allSatisfy { !$0.slice.isPart })
    #expect(plan.parts.count == 64 && plan.parts.values.allSatisfy { $0 == 1 })
    layout.total = 8 << 20
    plan = try layout.make(neighbours(128, 64 << 10))
    #expect(plan.slices.map(\.requestCount) == Array(repeating: 16, count: 8))
    layout.maximumLength = 100_000
    plan = try layout.make(neighbours(128, 64 << 10))
    #expect(plan.slices.map(\.requestCount) == Array(repeating: 1, count: 128))
  }

  @Test func neighboursLeaveWorkForEveryRail() throws {
    let names = (0..<16).map { "sim\($0)" }
    let layout = Layout(
      rails: names, peerNICs: names, local: [(0x1_0000, 8 << 20, nil)], remote: [(0x90_0000, 8 << 20, nil)],
      total: 8 << 20)
    let plan = try layout.make(neighbours(128, 64 << 10))
    for rail in names.indices {
      let bytes = plan.slices.filter { $0.slice.rail == rail }.reduce(0) { $0 + $1.slice.length }
      #expect(bytes == (8 << 20) / 16, "rail \(rail)")
    }
  }

  @Test(arguments: ["local", "remote", "opcode", "order", "empty", "localSeam", "remoteSeam"])
  func whatDoesNotFollowIsNotMerged(because reason: String) throws {
    var layout = Layout(local: [(0x1000, 0x1000, nil)], remote: [(0x9000, 0x1000, nil)])
    var requests: [(local: UInt, remote: UInt64, length: Int)] = [(0x1000, 0x9000, 0x100), (0x1100, 0x9100, 0x100)]
    var opcodes = [TransferOpcode.write, .write]
    switch reason {
    case "local": requests[1].local += 1
    case "remote": requests[1].remote -= 1
    case "opcode": opcodes[1] = .read
    case "order": requests.swapAt(0, 1)
    case "empty": requests.insert((0x1100, 0x9100, 0), at: 1)
    case "localSeam": layout.local = [(0x1000, 0x100, nil), (0x1100, 0x100, nil)]
    default: layout.remote = [(0x9000, 0x100, nil), (0x9100, 0x100, nil)]
    }
    var collector = Collector()
    try layout.run(requests, opcodes: opcodes, into: &collector)
    #expect(collector.slices.map(\.requestCount) == [1, 1])
    #expect(collector.slices.map(\.index) == (reason == "empty" ? [0, 2] : [0, 1]))
  }

  @Test(arguments: [(1 << 30, 1024), ((1 << 30) + 3, 1024), (256 << 10, 2), ((256 << 10) - 1, 1), (4 << 20, 32)])
  func aLargeRequestIsDealtOutInEqualParts(length: Int, parts: Int) throws {
    let names = (0..<16).map { "sim\($0)" }
    let layout = Layout(
      rails: names, peerNICs: names, local: [(0x1_0000, 2 << 30, nil)], remote: [(0x90_0000, 2 << 30, nil)],
      total: length)
    let slices = try layout.make([(0x1_0000, 0x90_0000, length)]).slices.map(\.slice)
    #expect(slices.count == parts && slices.reduce(0) { $0 + $1.length } == length)
    #expect(slices.allSatisfy { $0.isPart == (parts > 1) })
    let longest = try #require(slices.map(\.length).max())
    #expect(slices.dropLast().allSatisfy { $0.length == longest })
    guard parts >= 2 * names.count else { return }
    let shares = names.indices.map { rail in slices.filter { $0.rail == rail }.reduce(0) { $0 + $1.length } }
    #expect(shares.allSatisfy { abs($0 - length / 16) <= length / 16 / 20 }, "\(shares)")
  }

  @Test func aSingleRailGetsALargeRequestWhole() throws {
    let layout = Layout(
      rails: ["sim0"], peerNICs: ["sim0"], local: [(0x1_0000, 1 << 30, nil)], remote: [(0x90_0000, 1 << 30, nil)],
      total: 1 << 30)
    #expect(try layout.make([(0x1_0000, 0x90_0000, 1 << 30)]).slices.map(\.slice.length) == [1 << 30])
  }

  @Test func aSeamOnTheLocalSideSplits() throws {
    let layout = Layout(
      local: [(0x1000, 0x1000, nil), (0x2000, 0x1000, nil)], remote: [(0x9000, 0x2000, nil)])
    let plan = try layout.make([(0x1f00, 0x9000, 0x200)])
    #expect(plan.slices.count == 2 && plan.parts == [0: 2])
    #expect(isSame(plan.slices[0].slice, 0x1f00, 0x9000, 0x100) && plan.slices[0].slice.isPart)
    #expect(isSame(plan.slices[1].slice, 0x2000, 0x9100, 0x100) && plan.slices[1].slice.isPart)
    #expect(plan.slices.map(\.slice.chunk) == [0, 1])
  }

  @Test func aSeamOnTheRemoteSideSplits() throws {
    let layout = Layout(
      local: [(0x1000, 0x2000, nil)], remote: [(0xa000, 0x1000, nil), (0x9000, 0x1000, nil)])
    let plan = try layout.make([(0x1000, 0x9f80, 0x100)])
    #expect(plan.slices.count == 2)
    #expect(isSame(plan.slices[0].slice, 0x1000, 0x9f80, 0x80) && plan.slices[0].slice.key == 200)
    #expect(isSame(plan.slices[1].slice, 0x1080, 0xa000, 0x80) && plan.slices[1].slice.key == 101)
  }

  @Test func seamsAtDifferentPlacesOnBothSidesSplitAtEach() throws {
    let layout = Layout(
      local: [(0x1000, 0x30, nil), (0x1030, 0x30, nil), (0x1060, 0x40, nil)],
      remote: [(0x9000, 0x50, nil), (0x9050, 0x50, nil)])
    let plan = try layout.make([(0x1000, 0x9000, 0xa0)])
    #expect(plan.slices.map(\.slice.length) == [0x30, 0x20, 0x10, 0x40])
    #expect(plan.slices.map(\.slice.remote) == [0x9000, 0x9030, 0x9050, 0x9060])
    #expect(plan.slices.map(\.slice.local) == [0x1000, 0x1030, 0x1050, 0x1060])
    #expect(plan.parts == [0: 4])
  }

  @Test func nicsThatTheMemoryIsNotRegisteredWithAreSkipped() throws {
    var layout = Layout(
      local: [(0x1000, 0x1000, nil)], remote: [(0x9000, 0x1000, [0, 7])])
    let slices = try layout.make([(0x1000, 0x9000, 1), (0x1002, 0x9002, 1)]).slices.map(\.slice)
    #expect(slices.map(\.nic) == [1, 1] && slices.map(\.key) == [7, 7])
    layout.remote = [(0x9000, 0x1000, [0, 0])]
    #expect(code { _ = try layout.make([(0x1000, 0x9000, 1)]) } == .metadata)
    layout = Layout(local: [(0x1000, 0x1000, [1])], remote: [(0x9000, 0x1000, nil)])
    #expect(try layout.make([(0x1000, 0x9000, 1), (0x1000, 0x9000, 1)]).slices.map(\.slice.rail) == [1, 1])
    layout.local = [(0x1000, 0x1000, [])]
    #expect(code { _ = try layout.make([(0x1000, 0x9000, 1)]) } == .addressNotRegistered)
  }

  @Test func aRailTalksToItsNamesakeAndWithoutOneToItsShare() throws {
    var layout = Layout(
      peerNICs: ["sim1", "sim0"], local: [(0x1000, 0x1000, nil)], remote: [(0x9000, 0x1000, nil)])
    let requests: [(local: UInt, remote: UInt64, length: Int)] = Array(repeating: (0x1000, 0x9000, 1), count: 4)
    #expect(
      try layout.make(requests).slices.map { [$0.slice.rail, $0.slice.nic] } == [[0, 1], [1, 0], [0, 1], [1, 0]])
    layout.peerNICs = ["other0", "other1", "other2"]
    #expect(try layout.make(requests).slices.prefix(2).map { [$0.slice.rail, $0.slice.nic] } == [[0, 0], [1, 1]])
    layout.peerNICs = ["other0"]
    #expect(try layout.make(requests).slices.prefix(2).map { [$0.slice.rail, $0.slice.nic] } == [[0, 0], [1, 0]])
  }

  @Test func remoteAddressesAreVirtualOrOffsets() throws {
    var layout = Layout(
      local: [(0x1000, 0x1000, nil)], remote: [(0x9000, 0x100, nil), (0x9100, 0x100, nil)])
    #expect(try layout.make([(0x1000, 0x90f0, 0x20)]).slices.map(\.slice.remote) == [0x90f0, 0x9100])
    layout.usesVirtualAddresses = false
    #expect(try layout.make([(0x1000, 0x90f0, 0x20)]).slices.map(\.slice.remote) == [0xf0, 0])
  }

  @Test(arguments: [UInt64(0), 1, 17, .max])
  func requestsAreDealtEvenlyOverTheRailsNearTheMemory(turn: UInt64) throws {
    let names = (0..<4).map { "sim\($0)" }
    var layout = Layout(
      rails: names, peerNICs: names, local: [(0x1000, 0x1000, nil)], remote: [(0x9000, 0x1000, nil)])
    let requests: [(local: UInt, remote: UInt64, length: Int)] = Array(repeating: (0x1000, 0x9000, 8), count: 64)
    layout.near = [1, 3]
    let first = try layout.make(requests, turn: turn).slices.map(\.slice.rail)
    #expect(try layout.make(requests, turn: turn).slices.map(\.slice.rail) == first)
    #expect([1, 3].map { rail in first.count { $0 == rail } } == [32, 32])
    layout.near = []
    let all = try layout.make(requests, turn: turn).slices.map(\.slice.rail)
    #expect((0..<4).map { rail in all.count { $0 == rail } } == [16, 16, 16, 16])
  }

  @Test func errorsNameTheRequestAndTheAddress() throws {
    let layout = Layout(local: [(0x1000, 0x1000, nil)], remote: [(0x9000, 0x1000, nil)])
    let good: (local: UInt, remote: UInt64, length: Int) = (0x1000, 0x9000, 16)
    let local = text { _ = try layout.make([good, good, (0x1ff0, 0x9000, 32)]) }
    #expect(local.contains("Request 2") && local.contains("0x2000") && local.contains("0x1ff0"))
    let remote = text { _ = try layout.make([good, (0x1000, 0xabcd, 32)]) }
    #expect(remote.contains("Request 1") && remote.contains("0xabcd") && remote.contains("peer:1"))
    #expect(code { _ = try layout.make([(0x1000, 0x9000, -1)]) } == .invalidArgument)
    #expect(text { _ = try layout.make([good, (0x1000, 0x9000, -7)]) }.contains("Request 1"))
    #expect(code { _ = try layout.make([(0x1000, 0x9000, .max)]) } == .addressNotRegistered)
  }

  @Test func rangesOfThePeerMayOverlapOrReachTheEndOfTheAddressSpace() throws {
    let layout = Layout(
      local: [(0x1000, 0x10000, nil)],
      remote: [(0x9000, 0x8000, nil), (0xa000, 0x10, nil), (UInt64.max - 0xff, .max, nil)])
    #expect(try layout.make([(0x1000, 0xb000, 0x100)]).slices.map(\.slice.key) == [100])
    #expect(try layout.make([(0x1000, .max - 0xff, 0xf0)]).slices.map(\.slice.length) == [0xf0])
    #expect(code { _ = try layout.make([(0x1000, .max - 0xff, 0x200)]) } == .metadata)
  }

  @Test(arguments: 0..<40)
  func theOperationsOfARequestCoverItExactly(seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let nics = Int.random(in: 1...5, using: &generator)
    let names = (0..<nics).map { "sim\($0)" }
    var layout = Layout(rails: names, peerNICs: names.shuffled(using: &generator))
    layout.usesVirtualAddresses = .random(using: &generator)
    layout.near = names.indices.filter { _ in .random(using: &generator) }
    layout.maximumLength = [Int.max, 200, 64].randomElement(using: &generator) ?? 64
    var length = 0
    for _ in 0..<Int.random(in: 1...8, using: &generator) {
      let size = Int.random(in: 1...300, using: &generator)
      layout.local.append((0x1_0000 + UInt(length), size, nil))
      length += size
    }
    var remoteLength = 0
    while remoteLength < length {
      let size = Int.random(in: 1...300, using: &generator)
      var keys = names.map { _ in UInt64.random(in: 0...3, using: &generator) }
      keys[Int.random(in: 0..<nics, using: &generator)] = 9
      layout.remote.append((0x9_0000 + UInt64(remoteLength), UInt64(size), keys))
      remoteLength += size
    }
    layout.remote.shuffle(using: &generator)
    var (start, far, size) = (0, 0, 0)
    let requests: [(local: UInt, remote: UInt64, length: Int)] = (0..<20).map { _ in
      // Half of them follow the one before.
      if start + size < length, far + size < remoteLength, .random(using: &generator) {
        (start, far) = (start + size, far + size)
      } else {
        start = Int.random(in: 0..<length, using: &generator)
        far = Int.random(in: 0..<remoteLength, using: &generator)
      }
      size = Int.random(in: 0...min(length - start, remoteLength - far, 60), using: &generator)
      return (0x1_0000 + UInt(start), 0x9_0000 + UInt64(far), size)
    }

    let plan = try layout.make(requests, turn: seed)
    #expect(plan.slices.map(\.index) == plan.slices.map(\.index).sorted())
    var merged = 0
    for (index, request) in requests.enumerated() {
      let slices = plan.slices.filter { $0.index == index }.map(\.slice)
      if merged > 0 {
        merged -= 1
        #expect(slices.isEmpty && plan.parts[index] == 1)
        continue
      }
      #expect(plan.parts[index] == slices.count)
      var (local, remote, left) = (request.local, request.remote, request.length)
      if let count = plan.slices.first(where: { $0.index == index })?.requestCount, count > 1 {
        merged = count - 1
        let others = requests[(index + 1)...].prefix(merged)
        #expect(slices.count == 1 && others.count == merged && others.allSatisfy { $0.length > 0 })
        left += others.reduce(0) { $0 + $1.length }
      }
      for slice in slices {
        let here = layout.local[slice.chunk]
        let there = try #require(layout.remote.first { $0.start <= remote && remote < $0.start + $0.length })
        #expect(slice.local == local && local >= here.start)
        #expect(local + UInt(slice.length) <= here.start + UInt(here.length))
        #expect(slice.remote == (layout.usesVirtualAddresses ? remote : remote - there.start))
        #expect(remote + UInt64(slice.length) <= there.start + there.length)
        #expect(slice.key != 0 && slice.key == there.keys?[slice.nic])
        #expect(layout.near.isEmpty || layout.near.contains(slice.rail))
        #expect(slice.length > 0 && slice.length <= layout.maximumLength)
        #expect(slice.isPart == (slices.count > 1))
        local += UInt(slice.length)
        remote += UInt64(slice.length)
        left -= slice.length
      }
      #expect(left == 0)
    }
  }
}

/// SplitMix64.
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed &+ 0x9E37_79B9_7F4A_7C15 }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
