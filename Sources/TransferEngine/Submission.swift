internal import CFabric
internal import Synchronization

/// One call of `submit`: turns requests into work requests of their batch and hands those to the rails.
///
/// Nothing is handed over before everything is planned: a call that throws has submitted nothing.
struct Submission: ~Copyable {
  /// The requests of one rail, linked from the youngest to the oldest.
  struct Chain {
    var youngest: WorkRequestPointer?
    var oldest: WorkRequestPointer?
    var count = 0
  }

  private let batch: BatchPointer
  private let rails: [Rail]
  private let local: LocalSnapshot
  private let deadline: UInt64
  private let chains: UnsafeMutablePointer<Chain>
  /// The task of the call's first request.
  private let firstTask: Int
  private(set) var total = 0

  /// The run that is being planned: requests to one peer.
  private var peer: Peer?
  private var requests = UnsafeBufferPointer<TransferRequest>(start: nil, count: 0)
  private var runStart = 0
  /// The request that was planned last, by which the first part of a request is known.
  private var lastTask = -1
  /// Links that were wanted and do not exist.
  private(set) var missing: Peer.Pair?
  // Neighbouring requests mostly use the same region.
  private var use: UnsafeMutablePointer<RegionUse>?
  private var useCount = 0

  /// - Parameters:
  ///   - chains: One per rail, which the caller provides and has initialised.
  ///   - deadline: When the requests are given up, in nanoseconds of the monotonic clock.
  init(
    batch: BatchPointer, rails: [Rail], local: LocalSnapshot, chains: UnsafeMutablePointer<Chain>, deadline: UInt64
  ) {
    self.batch = batch
    self.rails = rails
    self.local = local
    self.chains = chains
    self.deadline = deadline
    firstTask = batch.pointee.submitted.load(ordering: .relaxed)
    for index in rails.indices { chains[index] = Chain() }
  }

  /// Plans `requests`, which start at request `start` of the call. Returns false if a link is ``missing``.
  mutating func plan(
    _ requests: UnsafeBufferPointer<TransferRequest>, from start: Int, peer: Peer, snapshot: PeerSnapshot,
    fabric: EFATransport, turn: UInt64
  ) throws(TransferError) -> Bool {
    self.peer = peer
    self.requests = requests
    runStart = start
    let plan = Plan(
      local: local, peer: snapshot, usesVirtualAddresses: fabric.usesVirtualAddresses,
      maximumLength: fabric.maximumMessageSize)
    let isComplete = try plan.make(requests, turn: turn, into: &self)
    flushUse()
    return isComplete
  }

  /// Counts a request that is copied within the process, which the caller does after ``handOver()``.
  mutating func planCopy(of index: Int) {
    guard let tasks = batch.pointee.tasks else { return }
    (tasks + firstTask + index).pointee.reset(parts: 1)
    total += 1
  }

  /// Gives everything to the rails.
  mutating func handOver(requestCount: Int) {
    batch.pointee.outstanding.add(total, ordering: .relaxed)
    batch.pointee.submitted.store(firstTask + requestCount, ordering: .releasing)
    for (index, rail) in rails.enumerated() {
      let chain = chains[index]
      guard let youngest = chain.youngest, let oldest = chain.oldest else { continue }
      rail.push(youngest: youngest, oldest: oldest, count: chain.count)
    }
  }

  /// Takes everything back, for another attempt or for an error.
  mutating func undo() {
    flushUse()
    for index in rails.indices {
      var cursor = chains[index].youngest
      while let request = cursor {
        cursor = request.pointee.next
        request.pointee.use.pointee.count.subtract(1, ordering: .relaxed)
      }
      chains[index] = Chain()
    }
    batch.pointee.discardOverflow(ifFirst: firstTask == 0)
    total = 0
    lastTask = -1
    missing = nil
  }

  /// The task of request `index` of the call, for copies.
  func task(_ index: Int) -> UnsafeMutablePointer<TransferTask>? {
    batch.pointee.tasks.map { $0 + firstTask + index }
  }

  private mutating func flushUse() {
    if let use, useCount > 0 { use.pointee.count.add(useCount, ordering: .relaxed) }
    use = nil
    useCount = 0
  }
}

extension Submission: Plan.Sink {
  @inline(__always)
  mutating func append(_ slice: Plan.Slice, of index: Int) -> Bool {
    guard let peer, let link = peer.link(slice.rail, slice.nic) else {
      missing = Peer.Pair(rail: slice.rail, nic: slice.nic)
      return false
    }
    let task = firstTask + runStart + index
    let slot: WorkRequestPointer
    if task != lastTask {
      slot = batch.pointee.slab.unsafelyUnwrapped + task
      lastTask = task
    } else {
      slot = batch.pointee.takeOverflow()
    }
    let sliceUse = local.chunks[slice.chunk].use
    if use != sliceUse {
      flushUse()
      use = sliceUse
    }
    useCount &+= 1
    let rail = slice.rail
    slot.initialize(
      to: WorkRequest(
        context: fi_context2(), next: chains[rail].youngest, previous: nil, batch: batch, link: link, use: sliceUse,
        local: UnsafeMutableRawPointer(bitPattern: slice.local), descriptor: slice.descriptor, remote: slice.remote,
        key: slice.key, length: slice.length, deadline: deadline, task: Int32(truncatingIfNeeded: task),
        opcode: requests[index].opcode, isPart: slice.isPart, isAbandoned: false))
    if chains[rail].oldest == nil { chains[rail].oldest = slot }
    chains[rail].youngest = slot
    chains[rail].count &+= 1
    total &+= 1
    return true
  }

  @inline(__always)
  mutating func finish(_ index: Int, parts: Int) {
    (batch.pointee.tasks.unsafelyUnwrapped + firstTask + runStart + index).pointee.reset(
      parts: Int32(truncatingIfNeeded: parts))
  }
}
