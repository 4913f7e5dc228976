internal import Synchronization

/// Callers that work a lane themselves, as long as it has nothing else to do: what they wait for then costs no hand-over
/// to another thread and none back.
extension TCPPeer {
  // MARK: Submitting

  /// The lane that the requests linked from `oldest` on have been put into, to be sent by the caller; nil where they
  /// have to be queued. For the holder of the monitor.
  func borrow(for oldest: WorkRequestPointer) -> TCPLane? {
    // Whoever has a handler called does not wait.
    guard head == nil, !isClosed, options.keepsConnections,
      oldest.pointee.batch.pointee.handler.load(ordering: .relaxed) == 0
    else { return nil }
    var last = oldest
    var size = 0
    var count = 0
    var cursor: WorkRequestPointer? = oldest
    while let request = cursor {
      size += request.pointee.length
      count += 1
      guard size <= Self.submitLimit, count <= TCPLane.windowLimit, !request.pointee.isOnGPU,
        request.pointee.opcode == .read || last.pointee.opcode == .write
      else { return nil }
      last = request
      cursor = request.pointee.next
    }
    guard let lane = lend(count) else { return nil }
    cursor = oldest
    for index in 0..<count {
      guard let request = cursor else { break }
      lane.window[index] = request
      cursor = request.pointee.next
      request.pointee.next = nil
    }
    lane.begin(count)
    return lane
  }

  /// A lane that rests, is connected and takes `count` requests.
  private func lend(_ count: Int) -> TCPLane? {
    // Rather one whose thread has not been called for what waits.
    for isCalled in 0...1 {
      for index in slots.indices
      where slots[index].state == .resting && slots[index].socket >= 0 && slots[index].isCalled == (isCalled == 1) {
        guard let lane = slots[index].lane, count <= lane.limit, lane.isOpen else { continue }
        slots[index].state = .lent
        slots[index].loans &+= 1
        return lane
      }
    }
    return nil
  }

  /// A caller has done with a lane.
  ///
  /// - Parameters:
  ///   - isOver: Whether the exchange is over; if not, somebody else has to go on with it.
  ///   - isUrgent: Whether its thread has to, since nobody might be waiting for it.
  ///   - comesBack: Whether the caller looks after the queue itself.
  func giveBack(_ lane: TCPLane, isOver: Bool, isUrgent: Bool = false, comesBack: Bool = false) {
    let number = lane.number
    monitor.lock()
    defer { monitor.unlock() }
    guard isOver else {
      slots[number].state = .left
      slots[number].leftSince = Clock.now
      if isClosed || isUrgent || lane.isSending {
        call(number)
      } else if !slots[number].isWatched {
        slots[number].isWatched = true
        slots[number].bell.signal()
      }
      return
    }
    slots[number].state = .resting
    if isClosed || (head != nil && !comesBack) { call(number) }
  }

  // MARK: Waiting

  /// Works on what `batch` has under way here until it is settled or the clock passes `deadline`; 0: only looks. Returns
  /// false if there is nothing that the caller could do: all lanes are in others' hands.
  func attend(_ batch: BatchPointer, until deadline: UInt64) -> Bool {
    var hasWorked = false
    while batch.pointee.outstanding.load(ordering: .acquiring) != 0 {
      monitor.lock()
      var expired: WorkRequestPointer?
      guard let lane = takeUp(batch) ?? help(until: deadline, &expired) else {
        if deadline > 0 { wakeLanes() }
        monitor.unlock()
        settle(expired, as: .timedOut)
        return hasWorked
      }
      monitor.unlock()
      settle(expired, as: .timedOut)
      hasWorked = true
      let isOver = lane.carryOn(until: deadline, for: batch)
      let isSettled = batch.pointee.outstanding.load(ordering: .acquiring) == 0
      giveBack(lane, isOver: isOver, isUrgent: isSettled, comesBack: !isSettled && deadline > 0)
      guard isOver else { break }
    }
    return hasWorked
  }

  /// The lane on which the next answer is one to `batch`, if nobody has it.
  private func takeUp(_ batch: BatchPointer) -> TCPLane? {
    for index in slots.indices where slots[index].state == .left {
      guard let lane = slots[index].lane, lane.batch == batch else { continue }
      slots[index].state = .lent
      slots[index].loans &+= 1
      return lane
    }
    return nil
  }

  /// A lane with requests from the queue, for a caller who has time.
  private func help(until deadline: UInt64, _ expired: inout WorkRequestPointer?) -> TCPLane? {
    guard let first = head, !isClosed, options.keepsConnections, !first.pointee.isOnGPU,
      deadline > Clock.now &+ 2 &* Self.tick, let lane = lend(1)
    else { return nil }
    expired = popExpired()
    let count = fill(lane.window, limit: lane.limit)
    announceRoom()
    guard count > 0 else {
      slots[lane.number].state = .resting
      return nil
    }
    lane.begin(count)
    return lane
  }

  /// Nobody is going to wait for `batch`: the threads of its lanes have to see to it.
  func entrust(_ batch: BatchPointer) {
    monitor.lock()
    defer { monitor.unlock() }
    for index in slots.indices where slots[index].state == .left && slots[index].lane?.batch == batch { call(index) }
  }
}
