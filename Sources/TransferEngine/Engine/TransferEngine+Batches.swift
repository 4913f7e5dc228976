internal import Logging
internal import Synchronization
internal import Wire

extension TransferEngine {
  /// Makes room for up to `capacity` requests.
  ///
  /// - Throws: ``TransferError``: `invalidArgument`, or `tooManyRequests` with the limit.
  public func allocateBatch(capacity: Int) throws(TransferError) -> BatchID {
    try gate.enter()
    defer { gate.leave() }
    return try batches.allocate(capacity: capacity)
  }

  /// Starts `requests`; `notification` goes to the first request's target once the whole batch is complete.
  public func submit(
    _ requests: [TransferRequest], to batch: BatchID, notification: NotificationMessage? = nil
  ) throws(TransferError) {
    try requests.withUnsafeBufferPointer { requests throws(TransferError) in
      try submit(requests, to: batch, notification: notification)
    }
  }

  /// Starts `requests`, which are read before the call returns. May be called until the batch is full.
  ///
  /// Connects to the targets first where that has not happened, which can take seconds. Whatever it throws, nothing of
  /// the call is under way then.
  ///
  /// - Throws: ``TransferError``: `tooManyRequests` over the batch's capacity, `addressNotRegistered` for memory of
  ///   this side and `metadata` for memory of the peer's, `invalidArgument` for a segment that is not open, or why the
  ///   peer cannot be reached.
  public func submit(
    _ requests: UnsafeBufferPointer<TransferRequest>, to id: BatchID, notification: NotificationMessage? = nil
  ) throws(TransferError) {
    try gate.enter()
    defer { gate.leave() }
    try checkInstalled()
    guard let first = requests.first else {
      guard notification == nil else {
        throw TransferError(.invalidArgument, "A notification needs at least one request, whose target gets it.")
      }
      return
    }
    try batches.with(id) { batch throws(TransferError) in
      try exclusively(batch, id, adding: requests.count) { () throws(TransferError) in
        guard let notification else { return try submit(requests, to: batch) }
        let target = first.target == .local ? name : try segments.segment(first.target).name
        try submit(requests, to: batch)
        // Only now: before, the batch is complete as far as it was submitted, and whoever asks for its status would
        // send this. Whoever has seen its end since has sent nothing, so that is made up for.
        notifications.add(notification, to: target, after: id)
        batch.pointee.hasNotification.store(1, ordering: .releasing)
        _ = finalStatus(batch, id)
      }
    }
  }

  /// Starts `requests` if that needs no new connection, and so never waits for a peer.
  ///
  /// - Returns: false if a target has to be connected to first; nothing of the call is under way then.
  /// - Throws: As ``submit(_:to:notification:)-(UnsafeBufferPointer<TransferRequest>,_,_)``.
  public func submitIfConnected(_ requests: [TransferRequest], to id: BatchID) throws(TransferError) -> Bool {
    try gate.enter()
    defer { gate.leave() }
    try checkInstalled()
    // Asking for the descriptor anew is waiting for a peer.
    guard !cachesNoMetadata else { return false }
    return try requests.withUnsafeBufferPointer { requests throws(TransferError) in
      try batches.with(id) { batch throws(TransferError) in
        try exclusively(batch, id, adding: requests.count) { () throws(TransferError) in
          let outcome = try attempt(requests, to: batch, mayWait: false)
          if case .submitted = outcome { return true } else { return false }
        }
      }
    }
  }

  /// Runs `body` as the only thread that submits to the batch, if there is room for `count` more requests.
  private func exclusively<R>(
    _ batch: BatchPointer, _ id: BatchID, adding count: Int, _ body: () throws(TransferError) -> R
  ) throws(TransferError) -> R {
    guard batch.pointee.submitting.exchange(1, ordering: .acquiring) == 0 else {
      throw TransferError(.busy, "Another thread is submitting to batch \(id).")
    }
    defer { batch.pointee.submitting.store(0, ordering: .releasing) }
    let room = batch.pointee.memory.capacity - batch.pointee.submitted.load(ordering: .relaxed)
    guard count <= room else {
      throw TransferError(
        .tooManyRequests,
        "Batch \(id) has room for \(room) more of \(batch.pointee.memory.capacity) requests, not for \(count).")
    }
    return try body()
  }

  private func submit(
    _ requests: UnsafeBufferPointer<TransferRequest>, to batch: BatchPointer
  ) throws(TransferError) {
    var hasRefreshed = false
    if cachesNoMetadata { try refresh(requests) }
    // A submission looks for links, finds those to one peer missing, makes them and looks again, until there are all; a
    // peer that drops every one of them again ends that.
    var attempts: [ObjectIdentifier: Int] = [:]
    while true {
      let outcome: SubmissionOutcome
      do throws(TransferError) {
        outcome = try attempt(requests, to: batch, mayWait: true)
      } catch {
        // Memory that the peer does not seem to have may have been registered since we looked.
        guard error.code == .metadata, !hasRefreshed else { throw error }
        hasRefreshed = true
        try refresh(requests)
        continue
      }
      switch outcome {
      case .submitted:
        return
      case .wouldWait:
        continue
      case .stale(let segment):
        attempts[ObjectIdentifier(segment), default: 0] += 1
        guard attempts[ObjectIdentifier(segment), default: 0] <= 3 else {
          throw TransferError(.peerRestarted, "\(segment.name) is restarted again and again. Check the peer's log.")
        }
        try segments.refresh(segment)
      case .missing(let segment, let current, let peer, let needed):
        attempts[ObjectIdentifier(segment), default: 0] += 1
        guard attempts[ObjectIdentifier(segment), default: 0] <= 3 else {
          throw TransferError(
            .endpoint, "The links to \(segment.name) break as soon as they are made. Check the peer's log.")
        }
        let usual = pairs(to: current)
        let pairs = usual + needed.filter { !usual.contains($0) }
        // What broke may be another process by now, or have other keys: so its descriptor is of interest, too.
        let wasInTrouble = peer.takeTrouble()
        do throws(TransferError) {
          // Others that submit meanwhile move the turn on, so that the next attempt may need other links.
          let isFirst = attempts[ObjectIdentifier(segment)] == 1
          try peer.connect(pairs, needed: isFirst ? needed : pairs, from: identity, by: client)
          if wasInTrouble { try segments.refresh(segment) }
        } catch {
          if wasInTrouble { peer.returnTrouble() }
          // Under the same name there may be another process by now, which has other NICs.
          guard error.code == .handshakeRejected || error.code == .peerRestarted,
            attempts[ObjectIdentifier(segment)] == 1
          else { throw error }
          try segments.refresh(segment)
        }
      }
    }
  }

  private enum SubmissionOutcome {
    case submitted
    /// Links have to be made first. The peer is the one that was planned for: by now the segment may have another, with
    /// other NICs.
    case missing(Segment, Segment.Current, Peer, [Peer.Pair])
    /// The peer has been restarted since its descriptor was fetched.
    case stale(Segment)
    /// A queue has no room, and the caller may not be made to wait for it.
    case wouldWait
  }

  private func attempt(
    _ requests: UnsafeBufferPointer<TransferRequest>, to batch: BatchPointer, mayWait: Bool
  ) throws(TransferError) -> SubmissionOutcome {
    // At least one, because without any there would be no address.
    let count = max(1, progress.rails.count)
    let result = withUnsafeTemporaryAllocation(of: Submission.Chain.self, capacity: count) { chains in
      chains.initialize(repeating: Submission.Chain())
      return Result<SubmissionOutcome, TransferError> { () throws(TransferError) in
        guard let base = chains.baseAddress else { return .submitted }
        return try attempt(requests, to: batch, mayWait: mayWait, chains: base)
      }
    }
    return try result.get()
  }

  private func attempt(
    _ requests: UnsafeBufferPointer<TransferRequest>, to batch: BatchPointer, mayWait: Bool,
    chains: UnsafeMutablePointer<Submission.Chain>
  ) throws(TransferError) -> SubmissionOutcome {
    let now = Clock.now
    let local = registry.snapshot
    let turn = turn.load(ordering: .relaxed)
    let bytes = Self.bytes(of: requests)
    var submission = Submission(
      batch: batch, to: progress, local: local, chains: chains,
      // One nanosecond per byte on top of the fixed time, as upstream allows.
      deadline: now &+ transferTimeout &+ UInt64(bytes))
    // Links that planning has seen stay until they are pushed. The first peer is kept apart, because nearly always
    // there is one only, and an array would be an allocation.
    var firstPeer: Peer?
    var otherPeers: [Peer] = []
    defer {
      firstPeer?.endPlanning()
      for peer in otherPeers { peer.endPlanning() }
    }
    var copies: [Int] = []
    var start = 0
    do throws(TransferError) {
      while start < requests.count {
        let target = requests[start].target
        if target == .local {
          try checkCopy(requests[start], start, local)
          submission.planCopy(of: start)
          copies.append(start)
          start += 1
          continue
        }
        let segment = try segments.segment(target)
        let current = segment.current
        let neighbour = current.neighbour.flatMap { $0.isReachable ? $0 : nil }
        let view = neighbour?.view
        if let neighbour, let view {
          start += submission.neighbours.take(
            requests, from: start, of: neighbour, view, acceptsUnregistered: acceptsUnregisteredMemory)
          if start == requests.count || requests[start].target != target { continue }
        }
        var end = start + 1
        while end < requests.count, requests[end].target == target,
          view.map({ submission.neighbours.takes(requests[end], $0, acceptsUnregisteredMemory) }) != true
        { end += 1 }
        let run = UnsafeBufferPointer(rebasing: requests[start..<end])
        switch current.route {
        case .fabric(let peer):
          if peer.life.isStale {
            submission.undo()
            return .stale(segment)
          }
          peer.beginPlanning()
          if firstPeer == nil { firstPeer = peer } else { otherPeers.append(peer) }
          guard !peer.isInTrouble else {
            submission.undo()
            return .missing(segment, current, peer, pairs(to: current))
          }
          let plan = Plan(
            local: local, peer: current.snapshot, usesVirtualAddresses: fabric?.usesVirtualAddresses ?? true,
            size: OperationSize(total: bytes, maximum: fabric?.maximumMessageSize ?? .max))
          try submission.plan(
            run, from: start, links: peer.links, by: plan, turn: turn &+ UInt64(submission.total))
          let missing = submission.missing
          guard missing.isEmpty else {
            submission.undo()
            return .missing(segment, current, peer, missing)
          }
        case .stream(let peer):
          if peer.life.isStale {
            submission.undo()
            return .stale(segment)
          }
          let plan = StreamPlan(
            local: local, peer: current.snapshot, requests: run, lanes: peer.options.lanes,
            acceptsUnregistered: acceptsUnregisteredMemory)
          try submission.plan(run, from: start, to: peer, by: plan)
        case .none where current.isStale:
          submission.undo()
          return .stale(segment)
        case .none:
          throw unreachable(segment.name, current.snapshot)
        }
        start = end
      }
    } catch {
      submission.undo()
      throw error
    }
    if !mayWait, !submission.fitsStreams() {
      submission.undo()
      return .wouldWait
    }
    self.turn.add(UInt64(submission.total), ordering: .relaxed)
    submission.handOver(requestCount: requests.count, mayWait: mayWait)
    progress.post(now: now)
    if let sameHost { submission.neighbours.handOver(to: sameHost.copiers) }
    // The snapshot keeps the memory registered until it has been copied.
    withExtendedLifetime(local) {
      for index in copies {
        guard let task = submission.task(index) else { continue }
        if let error = LocalCopy.run(requests[index], local, task: task, batch: batch) {
          logger.warning("Request \(index), a copy within the process, failed: \(error)")
        }
      }
    }
    return .submitted
  }

  /// How many bytes the requests are about, for deadlines and the length of operations.
  private static func bytes(of requests: UnsafeBufferPointer<TransferRequest>) -> Int {
    var bytes = 0
    for request in requests { bytes &+= max(0, request.length) }
    // A wrong length is found later; it must not make a deadline of centuries.
    return bytes < 0 ? 1 << 50 : min(bytes, 1 << 50)
  }

  private func checkCopy(_ request: TransferRequest, _ index: Int, _ local: LocalSnapshot) throws(TransferError) {
    guard request.length >= 0 else {
      throw TransferError(.invalidArgument, "Request \(index) has a negative length, \(request.length).")
    }
    guard request.length > 0 else { return }
    for address in [request.local, UInt(truncatingIfNeeded: request.remote)] {
      guard local.covers(address, length: request.length) else {
        throw TransferError(
          .addressNotRegistered,
          "Request \(index): \(request.length) bytes at 0x\(String(address, radix: 16)) are not all in registered"
            + " buffers of this engine. Register them first.")
      }
    }
  }

  private func refresh(_ requests: UnsafeBufferPointer<TransferRequest>) throws(TransferError) {
    var seen: Set<SegmentID> = [.local]
    for request in requests where seen.insert(request.target).inserted {
      try segments.refresh(try segments.segment(request.target))
    }
  }

  // MARK: Status

  /// How the batch stands. Never blocks; moves the fabric on while it looks.
  ///
  /// A batch is not final before every one of its requests is: a failure is reported when nothing moves any more.
  public func status(of batch: BatchID) throws(TransferError) -> TransferStatus {
    try batches.with(batch) { pointer throws(TransferError) in
      if pointer.pointee.outstanding.load(ordering: .acquiring) > 0 { progress.look(at: pointer) }
      return finalStatus(pointer, batch)
    }
  }

  /// How the request that was submitted as number `task` (from 0) stands.
  public func status(of batch: BatchID, task: Int) throws(TransferError) -> TransferStatus {
    try batches.with(batch) { pointer throws(TransferError) in
      let submitted = pointer.pointee.submitted.load(ordering: .acquiring)
      guard task >= 0, task < submitted, let tasks = pointer.pointee.memory.tasks else {
        throw TransferError(
          .invalidArgument, "Batch \(batch) has \(submitted) requests: there is no number \(task).")
      }
      if (tasks + task).pointee.remaining.load(ordering: .acquiring) > 0 {
        progress.look(at: pointer)
      }
      _ = finalStatus(pointer, batch)
      return (tasks + task).pointee.status
    }
  }

  /// Waits until the batch is done, or for `timeout`; the status says `waiting` then. Waiting is what moves the fabric
  /// on: no other thread has to.
  public func wait(for batch: BatchID, timeout: Duration) throws(TransferError) -> TransferStatus {
    try batches.with(batch) { pointer throws(TransferError) in
      let deadline = Clock.after(timeout, from: Clock.now)
      if let sameHost {
        while sameHost.copiers.help(pointer), Clock.now < deadline { _ = progress.drive(now: Clock.now) }
      }
      _ = progress.wait(for: pointer, deadline: deadline)
      return finalStatus(pointer, batch)
    }
  }

  /// Calls `body` once, soon after the batch is done; at once if it is. May call it early: look at the status.
  ///
  /// A second registration for the same batch replaces the first, which is called at once. `body` runs on whatever
  /// thread moves the fabric on, and holds it up: it should only pass the news on, and must not shut the engine down.
  public func whenDone(_ batch: BatchID, _ body: @escaping @Sendable () -> Void) throws(TransferError) {
    try batches.with(batch) { pointer throws(TransferError) in
      let handler = Unmanaged.passRetained(SettlementHandler(body))
      let old = pointer.pointee.handler.exchange(
        UInt(bitPattern: handler.toOpaque()), ordering: .sequentiallyConsistent)
      if let opaque = UnsafeRawPointer(bitPattern: old) {
        Unmanaged<SettlementHandler>.fromOpaque(opaque).takeRetainedValue().body()
      }
      if pointer.pointee.outstanding.load(ordering: .sequentiallyConsistent) == 0 { pointer.callHandler() }
      progress.wake()
      pointer.entrust()
    }
  }

  /// Gives back a batch that is done.
  ///
  /// - Throws: ``TransferError``: `busy` while it is not, `invalidArgument` for a batch that is none of this engine's.
  public func freeBatch(_ batch: BatchID) throws(TransferError) {
    try batches.with(batch) { pointer throws(TransferError) in
      // Whoever has settled the last task is about to take it off the batch's count: that caller of ours who has seen
      // every task done need not hear that the batch is busy. Bounded, since it may be this thread, in a handler.
      let deadline = Clock.now + Self.settlingTime
      while pointer.pointee.outstanding.load(ordering: .acquiring) > 0, pointer.hasSettledTasks, Clock.now < deadline {
        Thread.yield()
      }
      _ = finalStatus(pointer, batch)
    }
    try batches.free(batch)
  }

  /// Between the end of a batch's last task and that of the batch, in nanoseconds, at most.
  private static let settlingTime: UInt64 = 100_000_000

  private func finalStatus(_ batch: BatchPointer, _ id: BatchID) -> TransferStatus {
    let status = batch.status
    if status.isFinal, batch.pointee.hasNotification.load(ordering: .relaxed) != 0,
      batch.pointee.hasNotification.exchange(0, ordering: .acquiring) != 0
    {
      if status.state == .completed { notifications.send(id) } else { notifications.discard(id) }
    }
    return status
  }
}
