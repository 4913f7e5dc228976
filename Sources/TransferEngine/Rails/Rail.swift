internal import CFabric
internal import CLinux
internal import Fabric
internal import Logging
internal import Synchronization

/// One local NIC at work.
///
/// Whoever wants to move it on takes its baton: a caller that waits, a caller that has just submitted, or the progress
/// thread. The holder owns ``state``; everybody else only pushes onto ``submissions`` and reads counters.
final class Rail: @unchecked Sendable {
  /// The place among the engine's rails, which is also the place of its keys in the segment descriptor.
  let index: Int
  /// The NIC.
  let domain: Domain
  /// The endpoint's address, for peers.
  let address: [UInt8]
  /// Operations that may be in flight.
  let credits: Int
  /// Entries that the provider granted the completion queue.
  let completionQueueSize: Int
  /// Whether RDMA is emulated, where the provider tells.
  let isEmulated: Bool?

  /// Requests pushed and not settled.
  let outstanding = Atomic<Int>(0)
  /// Whether there are any, as far as is known here at this moment.
  var hasWork: Bool { outstanding.load(ordering: .relaxed) > 0 }

  /// How many passes there have been, by which one who might drive sees that others do. Written by the holder of the baton.
  let passes = Atomic<UInt64>(0)

  private let baton = Atomic<UInt32>(0)
  /// Threads that want the baton for longer than a pass: the others leave it to them.
  private let controllers = Atomic<Int>(0)
  /// The youngest of a chain of submitted requests, as an address; 0 for none.
  private let submissions = Atomic<UInt>(0)
  /// Set when the endpoint is closed and ``state`` is gone; written and read by the holder of the baton.
  private let closed = Atomic<Bool>(false)
  var isClosed: Bool { closed.load(ordering: .sequentiallyConsistent) }
  /// Owned by the holder of the baton.
  private let state: UnsafeMutablePointer<RailState>
  private let logger: Logger

  var device: String { domain.offer.device }

  init(
    index: Int, offer: NICOffer, completionQueueSize: Int, addressCount: Int, maximumCredits: Int?, logger: Logger
  ) throws(FabricError) {
    let domain = try Domain(offer)
    let endpoint = try Endpoint(domain, completionQueueSize: completionQueueSize, addressCount: addressCount)
    let granted = min(offer.transmitDepth, endpoint.completions.size)
    guard granted > 0 else {
      throw FabricError(
        call: "fi_getinfo", code: 0, text: "\(offer.device) has no transmit queue",
        advice: "Set FI_EFA_TX_SIZE to a depth that the device has.")
    }
    self.index = index
    self.domain = domain
    address = endpoint.address
    isEmulated = endpoint.isEmulated
    self.completionQueueSize = endpoint.completions.size
    waitDescriptor = endpoint.completions.waitDescriptor
    countsRemoteAccess = endpoint.remoteAccesses != nil
    credits = max(1, min(granted, maximumCredits ?? granted))
    state = .allocate(capacity: 1)
    state.initialize(to: RailState(endpoint: endpoint, credits: credits, keepsAddresses: offer.provider == "shm"))
    self.logger = logger
  }

  deinit {
    if !closed.load(ordering: .relaxed) { state.deinitialize(count: 1) }
    state.deallocate()
  }

  /// Hands over a chain of requests that are linked from `youngest` to `oldest`, `count` of them.
  func push(youngest: WorkRequestPointer, oldest: WorkRequestPointer, count: Int) {
    outstanding.add(count, ordering: .sequentiallyConsistent)
    var head = submissions.load(ordering: .relaxed)
    while true {
      oldest.pointee.next = WorkRequestPointer(bitPattern: head)
      let outcome = submissions.weakCompareExchange(
        expected: head, desired: UInt(bitPattern: youngest), successOrdering: .sequentiallyConsistent,
        failureOrdering: .relaxed)
      if outcome.exchanged { return }
      head = outcome.original
    }
  }

  /// What a pass came to.
  struct Pass {
    /// Whether the baton was free.
    var hadBaton: Bool
    /// Completions read, or requests settled otherwise.
    var progress: Int
  }

  /// What becomes readable when the provider has something to do for nobody in particular; nil where it does not tell.
  let waitDescriptor: Int32?

  /// Whether ``waitDescriptor`` tells of whatever comes next: nothing waits to be posted, read or done now.
  func maySleep() -> Bool {
    guard take() else { return false }
    defer { release() }
    guard !closed.load(ordering: .relaxed), submissions.load(ordering: .relaxed) == 0 else { return false }
    return !state.pointee.hasUnseen && state.pointee.endpoint.completions.maySleep()
  }

  /// Whether ``remoteAccesses()`` tells.
  let countsRemoteAccess: Bool

  /// How many times peers have read and written our memory by this rail; nil where the provider does not count, or
  /// somebody else is at the rail.
  func remoteAccesses() -> UInt64? {
    guard countsRemoteAccess, take() else { return nil }
    defer { release() }
    guard !closed.load(ordering: .relaxed) else { return nil }
    return state.pointee.endpoint.remoteAccesses?.read()
  }

  /// Moves the rail on once: posts what waits, reads what has completed, gives up what is too late. Does nothing if
  /// somebody else is at it.
  func drive(now: UInt64) -> Pass {
    var progress = 0
    // Somebody may have pushed while the baton was ours, found it taken, and gone to sleep on it. Where many push all the
    // time that would never end, so the caller gets to look whether its own have: when it leaves it wakes a sleeper.
    for _ in 0..<4 {
      guard controllers.load(ordering: .relaxed) == 0, take() else { return Pass(hadBaton: false, progress: progress) }
      if closed.load(ordering: .relaxed) { progress += failSubmissions() } else { progress += pass(now: now) }
      release()
      if submissions.load(ordering: .sequentiallyConsistent) == 0 { break }
    }
    return Pass(hadBaton: true, progress: progress)
  }

  /// Bytes after which a turn is over: a software provider takes a millisecond for a few of them, and finds more to do at the
  /// same NIC for as long as its peer takes what it is sent.
  private static let turnBytes: UInt64 = 1 << 20

  private func pass(now: UInt64) -> Int {
    passes.store(passes.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
    takeSubmissions()
    state.pointee.post()
    var progress = 0
    let limit = state.pointee.transferredBytes &+ Self.turnBytes
    while true {
      let completed = state.pointee.poll()
      progress += completed
      guard completed > 0 else { break }
      if submissions.load(ordering: .relaxed) != 0 { takeSubmissions() }
      state.pointee.post()
      // What is not in flight cannot complete, and a software provider looks for it by system calls.
      if state.pointee.inFlight == 0 { break }
      // A bounded turn, so that the caller gets to look at its clock and at its other rails.
      if progress >= 256 || state.pointee.transferredBytes >= limit { break }
    }
    progress += state.pointee.sweep(now: now)
    let settled = state.pointee.takeSettled()
    if settled > 0 { outstanding.subtract(settled, ordering: .releasing) }
    if let reports = state.pointee.takeReports(now: now) { log(reports) }
    return progress
  }

  private func takeSubmissions() {
    guard let chain = WorkRequestPointer(bitPattern: submissions.exchange(0, ordering: .acquiring)) else { return }
    state.pointee.enqueue(newestFirst: chain)
  }

  @inline(never)
  private func log(_ reports: (texts: [String], dropped: Int)) {
    for text in reports.texts { logger.warning("\(device): \(text)") }
    if reports.dropped > 0 { logger.warning("\(device): \(reports.dropped) more of the kind") }
  }

  /// Runs `body` as the holder of the baton, for calls on the endpoint that are not part of a transfer.
  ///
  /// - Throws: What `body` throws, an error if the rail is closed, or a timeout as ``exclusively(_:)``.
  func control<R: ~Copyable>(_ body: (inout RailState) throws(FabricError) -> R) throws(FabricError) -> R {
    try exclusively { () throws(FabricError) -> R in
      guard !closed.load(ordering: .relaxed) else {
        throw FabricError(call: "rail \(device)", code: Int32(FI_EOPBADSTATE), text: "the NIC is closed")
      }
      return try body(&state.pointee)
    }
  }

  /// Runs `body` as the holder of the baton, for calls on the domain, which outlives the endpoint.
  ///
  /// - Throws: What `body` throws, or a timeout if a holder does not let go within ten seconds, which means that a
  ///   call into the provider hangs.
  func exclusively<R: ~Copyable>(_ body: () throws(FabricError) -> R) throws(FabricError) -> R {
    controllers.add(1, ordering: .relaxed)
    defer { controllers.subtract(1, ordering: .relaxed) }
    let deadline = Clock.now + 10_000_000_000
    var spins = 0
    while !take() {
      spins += 1
      if spins < 64 {
        clinux_cpu_pause()
      } else {
        Thread.yield()
        if Clock.now > deadline {
          throw FabricError(
            call: "rail \(device)", code: FI_ETIMEDOUT, text: "a call into the provider has not returned for 10 s",
            advice: "The NIC or its driver hangs; see the kernel log.")
        }
      }
    }
    defer { release() }
    return try body()
  }

  /// Closes the endpoint and then settles everything as failed. What is pushed later is settled by the next pass, or by
  /// another call.
  func close() {
    do {
      try exclusively { () throws(FabricError) in
        if !closed.exchange(true, ordering: .sequentiallyConsistent) {
          takeSubmissions()
          let unsettled = state.pointee.takeEverything()
          outstanding.subtract(state.pointee.takeSettled(), ordering: .releasing)
          // Only then: who hears of the end of a request may give its memory away.
          state.deinitialize(count: 1)
          let failed = RailState.fail(chain: unsettled)
          if failed > 0 { outstanding.subtract(failed, ordering: .releasing) }
        }
        _ = failSubmissions()
      }
    } catch {
      logger.error("\(device) could not be closed: \(error)")
    }
  }

  /// Settles what was pushed onto a closed rail. Returns how many requests.
  private func failSubmissions() -> Int {
    let chain = WorkRequestPointer(bitPattern: submissions.exchange(0, ordering: .acquiring))
    let failed = RailState.fail(chain: chain)
    if failed > 0 { outstanding.subtract(failed, ordering: .releasing) }
    return failed
  }

  /// What the rail has done so far.
  func counters() -> (operations: UInt64, bytes: UInt64, maximumInFlight: Int) {
    let counted = try? control { state throws(FabricError) in
      (state.completedOperations, state.transferredBytes, state.maximumInFlight)
    }
    return counted ?? (0, 0, 0)
  }

  /// Whether nobody has the baton at this moment.
  var isFree: Bool { baton.load(ordering: .sequentiallyConsistent) == 0 }

  @inline(__always)
  private func take() -> Bool {
    baton.load(ordering: .relaxed) == 0 && baton.exchange(1, ordering: .acquiring) == 0
  }

  @inline(__always)
  private func release() { baton.store(0, ordering: .sequentiallyConsistent) }
}
