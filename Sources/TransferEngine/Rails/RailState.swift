internal import Synchronization
internal import CFabric
internal import CLinux
internal import Fabric

/// What the holder of a rail's baton owns: the endpoint, the credits and the requests between submission and
/// completion. One thread at a time, so nothing here is atomic and libfabric takes no lock.
struct RailState: ~Copyable {
  /// The endpoint and its queues.
  let endpoint: Endpoint
  /// Operations that may be in flight: no more than the provider's transmit depth and completion queue hold.
  let credits: Int
  /// Posted and not completed, abandoned ones included: their slots are the provider's until it gives them back.
  private(set) var inFlight = 0
  /// The oldest and the youngest in flight.
  private var oldest: WorkRequestPointer?
  private var youngest: WorkRequestPointer?
  /// Links that have requests waiting, as a queue.
  private var firstReady: PeerLinkPointer?
  private var lastReady: PeerLinkPointer?
  private var readyLinks = 0
  /// An entry of the address vector, and how many links share it: some providers know an address only once, so that the
  /// link which takes the place of a broken one gets the same entry.
  private struct AddressEntry {
    let handle: fi_addr_t
    var links = 0
  }
  // With room from the start: the runtime searches all conformances for those of a dictionary's types when the first one
  // gets storage, which would be in the first transfer.
  private var entriesByAddress = [[UInt8]: AddressEntry](minimumCapacity: 16)
  /// Set once the endpoint is about to be closed.
  private var isClosing = false
  /// When deadlines were looked at last, in nanoseconds.
  private var lastSweep: UInt64 = 0
  private var lastFullSweep: UInt64 = 0
  /// What was read from the completion queue.
  private let entries: UnsafeMutablePointer<fi_cq_entry>
  /// The part of it that was not looked at yet.
  private var unseen = 0..<0
  /// Whether there is such a part.
  var hasUnseen: Bool { !unseen.isEmpty }
  /// Whether addresses stay in the vector once they are in it. The shm provider does not tell the far side when one is
  /// taken out, which goes on using its place in our table: its next request would find nothing there and end this
  /// process.
  private let keepsAddresses: Bool
  /// Tells batches what became of their requests.
  private var settlement = Settlement()
  /// Texts of failures to log when the baton is free.
  private var reports: [String] = []
  private var droppedReports = 0
  private var lastReport: UInt64 = 0

  // What the rail did so far.
  var completedOperations: UInt64 = 0
  var transferredBytes: UInt64 = 0
  var maximumInFlight = 0

  /// Completions read at once: enough to spread the cost of the call, few enough to post again soon.
  private static let burst = 64
  /// Owners of batches woken before there is a look at what they submit. Each takes the processor from the one that drives,
  /// submits and sleeps again, and the peer must not have come to the end of its work meanwhile.
  private static let wakes = 8
  /// Requests posted for one link before the next link has its turn.
  private static let quantum = 32
  /// Between reports, in nanoseconds.
  private static let reportInterval: UInt64 = 1_000_000_000
  /// Deadlines are looked at this often, in nanoseconds.
  private static let sweepInterval: UInt64 = 1_000_000
  /// And all of them this often.
  private static let fullSweepInterval: UInt64 = 250_000_000

  init(endpoint: consuming Endpoint, credits: Int, keepsAddresses: Bool) {
    self.endpoint = endpoint
    self.keepsAddresses = keepsAddresses
    self.credits = credits
    entries = .allocate(capacity: Self.burst)
  }

  deinit { entries.deallocate() }

  /// Requests settled by this rail since the last call of ``takeSettled()``.
  mutating func takeSettled() -> Int { settlement.takeSettled() }

  /// What to log, at most once a second: a peer that dies with thousands of requests on their way is one story.
  mutating func takeReports(now: UInt64) -> (texts: [String], dropped: Int)? {
    guard !reports.isEmpty, now &- lastReport >= Self.reportInterval else { return nil }
    lastReport = now
    defer {
      reports.removeAll(keepingCapacity: true)
      droppedReports = 0
    }
    return (reports, droppedReports)
  }

  private mutating func report(_ text: String) {
    if reports.count < 4 { reports.append(text) } else { droppedReports += 1 }
  }

  // MARK: Submission

  /// Puts a chain of submitted requests, youngest first, into their links' queues.
  mutating func enqueue(newestFirst chain: WorkRequestPointer) {
    var reversed: WorkRequestPointer?
    var cursor: WorkRequestPointer? = chain
    while let request = cursor {
      cursor = request.pointee.next
      request.pointee.next = reversed
      reversed = request
    }
    while let request = reversed {
      reversed = request.pointee.next
      request.pointee.next = nil
      let link = request.pointee.link
      if let tail = link.pointee.tail {
        tail.pointee.next = request
      } else {
        link.pointee.head = request
      }
      link.pointee.tail = request
      if !link.pointee.isReady { appendReady(link) }
    }
  }

  /// Posts what waits, as far as credits go.
  mutating func post() {
    // Every link gets a turn; the loop ends when credits are used up, or when a whole round has posted nothing.
    var fruitless = 0
    while inFlight < credits, fruitless < readyLinks, let link = firstReady {
      fruitless = post(from: link) > 0 ? 0 : fruitless + 1
      let hasMore = link.pointee.head != nil
      removeFirstReady()
      if hasMore { appendReady(link) }
    }
    settlement.flush()
  }

  /// Returns how many requests were posted.
  private mutating func post(from link: PeerLinkPointer) -> Int {
    var posted = 0
    while posted < Self.quantum, inFlight < credits, let request = link.pointee.head {
      guard mayPost(link) else { break }
      let result = call(request, link)
      if result == 0 {
        dequeue(link)
        append(request)
        link.pointee.inFlight += 1
        posted += 1
      } else if result == -Int(FI_EAGAIN) {
        break
      } else {
        dequeue(link)
        link.pointee.markBroken()
        let code = Int32(clamping: -result)
        report("\(request.pointee.opcode) of \(request.pointee.length) bytes was not accepted: error \(code)")
        settlement.fail(request, as: .failed)
      }
    }
    if inFlight > maximumInFlight { maximumInFlight = inFlight }
    return posted
  }

  /// A link may take up to eight times what it leaves free (dynamic thresholds; Choudhury and Hahne, 1998). Dead peers
  /// never give back what they hold, so that alone would leave the fourth or fifth of them nothing: the last sixteenth
  /// is for links that have nothing in flight, one credit each.
  @inline(__always)
  private func mayPost(_ link: PeerLinkPointer) -> Bool {
    let spare = credits - inFlight - max(1, credits / 16)
    return link.pointee.inFlight == 0 || link.pointee.inFlight < 8 * spare
  }

  @inline(__always)
  private func call(_ request: WorkRequestPointer, _ link: PeerLinkPointer) -> Int {
    switch request.pointee.opcode {
    case .write:
      fi_write(
        endpoint.raw, request.pointee.local, request.pointee.length, request.pointee.descriptor, link.pointee.address,
        request.pointee.remote, request.pointee.key, request)
    case .read:
      fi_read(
        endpoint.raw, request.pointee.local, request.pointee.length, request.pointee.descriptor, link.pointee.address,
        request.pointee.remote, request.pointee.key, request)
    }
  }

  // MARK: Completion

  /// Reads what has completed. Returns how many operations.
  mutating func poll() -> Int {
    var total = 0
    settlement.woken = 0
    while true {
      if unseen.isEmpty {
        let count = endpoint.completions.read(into: entries, count: Self.burst)
        guard count > 0 else {
          guard count == -Int(FI_EAVAIL) else { break }
          if let failure = endpoint.completions.readError() { fail(failure) }
          total += 1
          if total < 4 * Self.burst { continue } else { break }
        }
        unseen = 0..<count
      }
      let isFullBurst = unseen.count == Self.burst
      total += see()
      // A full burst means that there is more; credits may be short, so post first.
      guard isFullBurst, unseen.isEmpty, firstReady == nil, total < 4 * Self.burst else { break }
    }
    settlement.flush()
    return total
  }

  /// Looks at what was read, all of it or until enough sleepers were woken. Returns how many operations.
  @inline(__always)
  private mutating func see() -> Int {
    let (start, end) = (unseen.lowerBound, unseen.upperBound)
    var index = start
    repeat {
      if let context = entries[index].op_context { complete(context.assumingMemoryBound(to: WorkRequest.self)) }
      index &+= 1
    } while index < end && settlement.woken < Self.wakes
    unseen = index..<end
    return index &- start
  }

  @inline(__always)
  private mutating func complete(_ request: WorkRequestPointer) {
    remove(request)
    let length = UInt64(truncatingIfNeeded: request.pointee.length)
    completedOperations &+= 1
    transferredBytes &+= length
    if request.pointee.isAbandoned {
      giveBackAbandoned(request)
    } else {
      settlement.complete(request)
    }
  }

  private mutating func fail(_ failure: FailedCompletion) {
    guard let context = failure.context else {
      report("the completion queue reported an error that belongs to no operation: \(failure.summary)")
      return
    }
    let request = context.assumingMemoryBound(to: WorkRequest.self)
    report("\(request.pointee.opcode) of \(request.pointee.length) bytes failed: \(failure.summary)")
    request.pointee.link.pointee.markBroken()
    remove(request)
    if request.pointee.isAbandoned { giveBackAbandoned(request) } else { settlement.fail(request, as: .failed) }
  }

  /// The provider has given back a request that was settled by its deadline.
  private mutating func giveBackAbandoned(_ request: WorkRequestPointer) {
    request.pointee.use.pointee.count.subtract(1, ordering: .releasing)
    request.pointee.batch.pointee.abandoned.subtract(1, ordering: .releasing)
  }

  // MARK: Deadlines and events

  /// Gives up requests whose deadline has passed, at most once per millisecond. Returns how many.
  mutating func sweep(now: UInt64) -> Int {
    guard now &- lastSweep >= Self.sweepInterval else { return 0 }
    lastSweep = now
    var expired = 0
    // Operations are in flight in the order in which they were posted. That is nearly the order of their deadlines, but
    // a link that had to wait for its turn posts late: so now and then all of them are looked at.
    let looksAtAll = now &- lastFullSweep >= Self.fullSweepInterval
    if looksAtAll { lastFullSweep = now }
    var cursor = oldest
    while let request = cursor {
      cursor = request.pointee.next
      guard request.pointee.deadline <= now else {
        if looksAtAll { continue }
        break
      }
      guard !request.pointee.isAbandoned else { continue }
      // The provider may still write through it, so the region stays in use and the batch cannot be freed.
      request.pointee.isAbandoned = true
      request.pointee.use.pointee.count.add(1, ordering: .relaxed)
      request.pointee.batch.pointee.abandoned.add(1, ordering: .relaxed)
      request.pointee.link.pointee.markBroken()
      settlement.fail(request, as: .timedOut)
      expired += 1
    }
    var ready = firstReady
    while let link = ready {
      ready = link.pointee.nextReady
      while let request = link.pointee.head, request.pointee.deadline <= now {
        dequeue(link)
        link.pointee.markBroken()
        settlement.fail(request, as: .timedOut)
        expired += 1
      }
    }
    settlement.flush()
    if expired > 0 {
      let (flying, completed) = (inFlight, completedOperations)
      report(
        "\(expired) operations passed their deadline (in flight \(flying) of \(credits) credits,"
          + " \(completed) completed so far)")
    }
    while let text = endpoint.events?.next() { report("the NIC reported: \(text)") }
    return expired
  }

  /// Takes all requests out, as a chain, but for those that are known to be complete: the rail is being closed. Those in
  /// flight are the provider's until the endpoint
  /// is closed, so nobody may hear of their end before that.
  mutating func takeEverything() -> WorkRequestPointer? {
    isClosing = true
    while !unseen.isEmpty {
      settlement.woken = 0
      _ = see()
    }
    settlement.flush()
    var chain: WorkRequestPointer?
    while let link = firstReady {
      while let request = link.pointee.head {
        dequeue(link)
        request.pointee.next = chain
        chain = request
      }
      removeFirstReady()
    }
    while let request = oldest {
      remove(request)
      request.pointee.next = chain
      chain = request
    }
    return chain
  }

  /// Settles a chain of requests that no provider has, as failed. Returns how many, those apart that were settled by
  /// their deadline.
  static func fail(chain: WorkRequestPointer?) -> Int {
    var settled = 0
    var cursor = chain
    while let request = cursor {
      cursor = request.pointee.next
      let batch = request.pointee.batch
      request.pointee.use.pointee.count.subtract(1, ordering: .releasing)
      guard !request.pointee.isAbandoned else {
        batch.pointee.abandoned.subtract(1, ordering: .releasing)
        continue
      }
      settled += 1
      request.failTasks(as: .failed)
      // After the last of them the batch may be gone.
      batch.settle(1)
    }
    return settled
  }

  // MARK: Links

  /// Adds a peer's NIC.
  mutating func connect(_ address: [UInt8], _ trouble: PeerTrouble) throws(FabricError) -> PeerLinkPointer {
    try checkForm(address)
    var entry: AddressEntry
    if let known = entriesByAddress[address] {
      entry = known
    } else {
      entry = AddressEntry(handle: try endpoint.peers.insert(address))
    }
    entry.links += 1
    entriesByAddress[address] = entry
    let link = PeerLinkPointer.allocate(capacity: 1)
    link.initialize(to: PeerLink(address: entry.handle, bytes: address, trouble: trouble))
    return link
  }

  /// A provider takes the first bytes of whatever it is given for an address, and finds out later or never.
  private func checkForm(_ address: [UInt8]) throws(FabricError) {
    let own = endpoint.address
    // An address that is a text (shm's) has any length.
    guard address.count != own.count, !own.starts(with: Array("fi_".utf8)) else { return }
    throw FabricError(
      call: "fi_av_insert", code: FI_EINVAL,
      text: "the peer's address has \(address.count) bytes, addresses of this provider have \(own.count)",
      advice: "Check that both sides use the same provider.")
  }

  /// Takes a link that nobody plans for any more out of use, now or with its last request.
  mutating func retire(_ link: PeerLinkPointer) {
    link.pointee.isRetired = true
    if link.pointee.isIdle, !link.pointee.isReady { free(link) }
  }

  private mutating func free(_ link: PeerLinkPointer) {
    let bytes = link.pointee.bytes
    if let entry = entriesByAddress[bytes] {
      if entry.links > 1 || keepsAddresses {
        entriesByAddress[bytes]?.links -= 1
      } else {
        entriesByAddress[bytes] = nil
        // While the endpoint is being closed the provider still has operations to the address.
        if !isClosing { endpoint.peers.remove(entry.handle) }
      }
    }
    link.deinitialize(count: 1)
    link.deallocate()
  }

  // MARK: Lists

  @inline(__always)
  private func dequeue(_ link: PeerLinkPointer) {
    guard let request = link.pointee.head else { return }
    link.pointee.head = request.pointee.next
    if link.pointee.head == nil { link.pointee.tail = nil }
    request.pointee.next = nil
  }

  @inline(__always)
  private mutating func append(_ request: WorkRequestPointer) {
    request.pointee.previous = youngest
    if let youngest { youngest.pointee.next = request } else { oldest = request }
    youngest = request
    inFlight &+= 1
  }

  @inline(__always)
  private mutating func remove(_ request: WorkRequestPointer) {
    let (previous, next) = (request.pointee.previous, request.pointee.next)
    if let previous { previous.pointee.next = next } else { oldest = next }
    if let next { next.pointee.previous = previous } else { youngest = previous }
    inFlight &-= 1
    let link = request.pointee.link
    link.pointee.inFlight &-= 1
    if link.pointee.isRetired, link.pointee.isIdle, !link.pointee.isReady { free(link) }
  }

  private mutating func appendReady(_ link: PeerLinkPointer) {
    link.pointee.isReady = true
    link.pointee.nextReady = nil
    if let last = lastReady { last.pointee.nextReady = link } else { firstReady = link }
    lastReady = link
    readyLinks &+= 1
  }

  private mutating func removeFirstReady() {
    guard let link = firstReady else { return }
    firstReady = link.pointee.nextReady
    if firstReady == nil { lastReady = nil }
    readyLinks &-= 1
    link.pointee.isReady = false
    link.pointee.nextReady = nil
    if link.pointee.isRetired, link.pointee.isIdle { free(link) }
  }
}
