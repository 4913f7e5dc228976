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

  /// The requests for one peer over TCP, linked from the oldest to the youngest.
  struct Stream {
    let peer: TCPPeer
    var oldest: WorkRequestPointer?
    var youngest: WorkRequestPointer?
    var count = 0
  }

  private let batch: BatchPointer
  private let progress: Progress
  /// The local chunks; the caller keeps the snapshot that holds them.
  private let localChunks: UnsafeMutablePointer<LocalSnapshot.Chunk>?
  private let slab: WorkRequestPointer?
  private let tasks: UnsafeMutablePointer<TransferTask>?
  private let deadline: UInt64
  private let chains: UnsafeMutablePointer<Chain>
  /// The task of the call's first request.
  private let firstTask: Int
  /// The parts that the batch had before.
  private let firstPart: Int
  private(set) var total = 0
  /// What goes to engines on this host.
  var neighbours: NeighbourPlan

  /// The run that is being planned: requests to one peer.
  private var links: Peer.Links?
  private var requests = UnsafeBufferPointer<TransferRequest>(start: nil, count: 0)
  private var runStart = 0
  /// The request that was planned last, by which the first part of a request is known.
  private var lastTask = -1
  /// Links that were wanted and do not exist.
  private(set) var missing: [Peer.Pair] = []
  /// What goes over TCP, by peer. The first is kept apart: nearly always there is one, and an array would be an
  /// allocation.
  private var firstStream: Stream?
  private var otherStreams: [Stream] = []
  /// The operation that was planned last, which further requests may share.
  private var last: WorkRequestPointer?
  // Neighbouring requests mostly use the same region.
  private var use: UnsafeMutablePointer<RegionUse>?
  private var useCount = 0

  /// - Parameters:
  ///   - chains: One per rail, which the caller provides and has initialised.
  ///   - deadline: When the requests are given up, in nanoseconds of the monotonic clock.
  init(
    batch: BatchPointer, to progress: Progress, local: LocalSnapshot, chains: UnsafeMutablePointer<Chain>,
    deadline: UInt64
  ) {
    self.batch = batch
    self.progress = progress
    localChunks = local.chunks.baseAddress
    slab = batch.pointee.memory.slab
    tasks = batch.pointee.memory.tasks
    self.chains = chains
    self.deadline = deadline
    firstTask = batch.pointee.submitted.load(ordering: .relaxed)
    firstPart = batch.pointee.memory.partCount
    neighbours = NeighbourPlan(batch, local: local, deadline: deadline)
    for index in progress.rails.indices { chains[index] = Chain() }
  }

  /// Plans `requests`, which start at request `start` of the call. What it comes to is void where links are ``missing``.
  mutating func plan(
    _ requests: UnsafeBufferPointer<TransferRequest>, from start: Int, links: Peer.Links, by plan: Plan, turn: UInt64
  ) throws(TransferError) {
    self.links = links
    self.requests = requests
    runStart = start
    try plan.make(requests, turn: turn, into: &self)
    flushUse()
  }

  /// Plans `requests`, which start at request `start` of the call and go over TCP.
  mutating func plan(
    _ requests: UnsafeBufferPointer<TransferRequest>, from start: Int, to peer: TCPPeer, by plan: StreamPlan
  ) throws(TransferError) {
    self.requests = requests
    runStart = start
    if let current = firstStream, current.peer !== peer {
      otherStreams.append(current)
      firstStream = nil
      if let index = otherStreams.firstIndex(where: { $0.peer === peer }) {
        firstStream = otherStreams.remove(at: index)
      }
    }
    if firstStream == nil { firstStream = Stream(peer: peer) }
    try plan.make(requests, into: &self)
    flushUse()
  }

  /// Whether every TCP peer would take what is planned for it without waiting.
  func fitsStreams() -> Bool {
    guard let firstStream, firstStream.peer.hasRoom(for: firstStream.count) else { return firstStream == nil }
    return otherStreams.allSatisfy { $0.peer.hasRoom(for: $0.count) }
  }

  /// Counts a request that is copied within the process, which the caller does after ``handOver()``.
  mutating func planCopy(of index: Int) {
    guard let tasks else { return }
    (tasks + firstTask + index).pointee.reset(parts: 1)
    total += 1
  }

  /// Gives everything to the rails and to the TCP peers. A TCP peer whose queue is full makes the caller wait, until the
  /// operations' deadline at most.
  mutating func handOver(requestCount: Int, mayWait: Bool) {
    batch.pointee.outstanding.add(total + neighbours.total, ordering: .relaxed)
    batch.pointee.submitted.store(firstTask + requestCount, ordering: .releasing)
    progress.push(chains)
    if let stream = firstStream { push(stream, mayWait: mayWait) }
    for stream in otherStreams { push(stream, mayWait: mayWait) }
  }

  /// Takes everything back, for another attempt or for an error.
  mutating func undo() {
    flushUse()
    neighbours.undo()
    for index in progress.rails.indices {
      var cursor = chains[index].youngest
      while let request = cursor {
        cursor = request.pointee.next
        request.pointee.use.pointee.count.subtract(1, ordering: .relaxed)
      }
      chains[index] = Chain()
    }
    if let stream = firstStream { Self.forget(stream) }
    for stream in otherStreams { Self.forget(stream) }
    firstStream = nil
    otherStreams = []
    batch.pointee.memory.returnParts(downTo: firstPart)
    total = 0
    lastTask = -1
    missing = []
  }

  private func push(_ stream: Stream, mayWait: Bool) {
    guard let oldest = stream.oldest else { return }
    batch.follow(stream.peer)
    stream.peer.push(oldest, deadline: deadline, mayWait: mayWait)
  }

  private static func forget(_ stream: Stream) {
    var cursor = stream.oldest
    while let request = cursor {
      cursor = request.pointee.next
      request.pointee.use.pointee.count.subtract(1, ordering: .relaxed)
    }
  }

  /// The task of request `index` of the call, for copies.
  func task(_ index: Int) -> UnsafeMutablePointer<TransferTask>? {
    tasks.map { $0 + firstTask + index }
  }

  private mutating func flushUse() {
    if let use, useCount > 0 { use.pointee.count.add(useCount, ordering: .relaxed) }
    use = nil
    useCount = 0
  }
}

extension Submission {
  /// Room for one more part of task `task`.
  @inline(__always)
  private mutating func takeSlot(for task: Int, from slab: WorkRequestPointer) -> WorkRequestPointer {
    guard task == lastTask else {
      lastTask = task
      return slab + task
    }
    return batch.pointee.memory.takePart()
  }

  /// One more work request uses a region.
  @inline(__always)
  private mutating func count(_ used: UnsafeMutablePointer<RegionUse>) {
    if use != used {
      flushUse()
      use = used
    }
    useCount &+= 1
  }

  /// Adds one operation of request `index` that goes over TCP.
  mutating func append(_ slice: StreamPlan.Slice, of index: Int) {
    guard let slab else { return }
    let task = firstTask + runStart + index
    let slot = takeSlot(for: task, from: slab)
    count(slice.use)
    slot.pointee.next = nil
    slot.pointee.batch = batch
    slot.pointee.use = slice.use
    slot.pointee.local = UnsafeMutableRawPointer(bitPattern: slice.local)
    slot.pointee.remote = slice.remote
    slot.pointee.length = slice.length
    slot.pointee.deadline = deadline
    slot.pointee.task = Int32(truncatingIfNeeded: task)
    slot.pointee.taskCount = 1
    slot.pointee.opcode = requests[index].opcode
    slot.pointee.isPart = slice.isPart
    slot.pointee.isAbandoned = false
    slot.pointee.isOnGPU = slice.isOnGPU
    slot.pointee.retries = []
    if let youngest = firstStream?.youngest { youngest.pointee.next = slot } else { firstStream?.oldest = slot }
    firstStream?.youngest = slot
    firstStream?.count &+= 1
    total &+= 1
  }
}

extension Submission: Plan.Sink {
  @inline(__always)
  mutating func append(_ slice: Plan.Slice, of index: Int) {
    guard let links, let link = links.link(slice.rail, slice.nic), let slab, let localChunks else { return miss(slice) }
    let task = firstTask + runStart + index
    let slot = takeSlot(for: task, from: slab)
    let sliceUse = localChunks[slice.chunk].use
    count(sliceUse)
    let rail = slice.rail
    // Field by field, which leaves the provider's scratch space as it is. Nothing in it needs initialising.
    slot.pointee.next = chains[rail].youngest
    slot.pointee.previous = nil
    slot.pointee.batch = batch
    slot.pointee.link = link
    slot.pointee.use = sliceUse
    slot.pointee.local = UnsafeMutableRawPointer(bitPattern: slice.local)
    slot.pointee.descriptor = slice.descriptor
    slot.pointee.remote = slice.remote
    slot.pointee.key = slice.key
    slot.pointee.length = slice.length
    slot.pointee.deadline = deadline
    slot.pointee.task = Int32(truncatingIfNeeded: task)
    slot.pointee.taskCount = 1
    last = slot
    slot.pointee.opcode = requests[index].opcode
    slot.pointee.isPart = slice.isPart
    slot.pointee.isAbandoned = false
    if chains[rail].oldest == nil { chains[rail].oldest = slot }
    chains[rail].youngest = slot
    chains[rail].count &+= 1
    total &+= 1
  }

  /// Planning goes on, so that all the links that are needed can be made together.
  @inline(never)
  private mutating func miss(_ slice: Plan.Slice) {
    let pair = Peer.Pair(rail: slice.rail, nic: slice.nic)
    if !missing.contains(pair) { missing.append(pair) }
  }

  @inline(__always)
  mutating func extend(by length: Int, with index: Int) {
    guard let last, let slab else { return }
    last.pointee.length &+= length
    last.pointee.taskCount &+= 1
    (slab + firstTask + runStart + index).pointee.length = length
  }

  @inline(__always)
  mutating func finish(_ index: Int, parts: Int) {
    guard let tasks else { return }
    (tasks + firstTask + runStart + index).pointee.reset(parts: Int32(truncatingIfNeeded: parts))
  }
}
