internal import Cuda
internal import Glibc
internal import Logging
internal import Synchronization
internal import Wire

/// A TCP data listener at the other end: what waits to go there, and the lanes that take it.
///
/// Requests wait linked to each other, in one bounded queue from which all lanes help themselves. Whoever finds it full
/// waits for room; nothing fails for being too much. A lane that is idle is lent to callers: see ``TCPLane``.
final class TCPPeer: @unchecked Sendable {
  /// Why a connection is not one to the engine that was planned for.
  enum Doubt {
    /// There is none.
    case unreachable(TransferError)
    /// The engine says that it is another one.
    case otherLife
    /// The engine does not say which one it is.
    case unanswered(String)
  }

  /// Asks what has become of the engine behind a peer: the peer to take instead, which may be the same one, and what
  /// its engine publishes; nil where it is not reached over TCP any more. Blocks, with a deadline.
  typealias Inquiry = @Sendable (TCPPeer) throws(TransferError) -> (peer: TCPPeer, snapshot: PeerSnapshot)?

  /// The engine's name.
  let name: String
  let host: String
  let port: UInt16
  /// 2 where the peer acknowledges, else 1.
  let version: Int
  /// The run of the engine's process that this is about.
  let life: PeerLife
  /// What says so on a new connection; nil for engines that would not understand.
  let hello: TCPHello?
  let options: TCPOptions
  /// Operations that this engine has asked peers for.
  let traffic: Traffic
  private let inquiry: Inquiry
  private let log: EventLog

  /// What a lane's thread is to do.
  enum Work {
    /// To take from the queue.
    case requests
    /// To go on with what a caller has begun.
    case exchange
  }

  /// A lane, as the others see it.
  struct Slot {
    enum State {
      /// There is no thread.
      case absent
      /// Idle: whoever wants it may have it.
      case resting
      /// Its thread has it.
      case busy
      /// A caller has it.
      case lent
      /// In the middle of an exchange, and nobody has it.
      case left
    }

    var state = State.absent
    var lane: TCPLane?
    /// -1 for none.
    var socket: Int32 = -1
    /// Since when nobody has it, in nanoseconds.
    var leftSince: UInt64 = 0
    /// How often it was lent.
    var loans = 0
    /// Whether its thread has been called.
    var isCalled = false
    /// Whether its thread looks now and then whether it was left.
    var isWatched = false
    /// Rings for its thread.
    let bell: Condition
  }

  let monitor = Monitor()
  /// There is room for a caller.
  private let room: Condition
  /// A lane that wants to connect may look again.
  private let turn: Condition
  /// A lane has ended.
  private let ended: Condition

  // All of the following belongs to the holder of the monitor.
  var head: WorkRequestPointer?
  private var tail: WorkRequestPointer?
  private var count = 0
  private var bytes = 0
  var slots: [Slot] = []
  private var running = 0
  private var isConnecting = false
  /// No connection is tried before this moment, in nanoseconds.
  private var nextAttempt: UInt64 = 0
  var isClosed = false

  /// A lane looks at its deadlines this often, in nanoseconds.
  static let tick: UInt64 = 200_000_000
  /// A lane that a caller has left is taken up by its thread after this long, in nanoseconds, which then looks this
  /// often, and stops looking after so many times without a loan.
  private static let attendance: UInt64 = 1_000_000
  private static let glance: UInt64 = 2_000_000
  private static let glances = 50
  /// A lane that had nothing to do for this long ends, and its connection with it.
  private static let idleTime: UInt64 = 60_000_000_000
  /// After a round of connecting that failed, in nanoseconds.
  private static let coolDown: UInt64 = 1_000_000_000
  /// What one lane takes at once, in bytes: enough to fill the connection and to be worth the wake-ups that it costs both
  /// sides, little enough that the others get some and that it fits into the staging buffer.
  private static let smallestShare = 512 << 10
  private static let largestShare = min(1 << 20, StagingBuffer.length)
  /// Another lane is woken for each so many bytes that wait. Who waits for them takes a lane as well, and every lane
  /// costs two threads their turns.
  private static let loadOfLane = 1 << 20
  /// What a caller sends itself while it submits, in bytes: more would keep it from what it has to do meanwhile.
  static let submitLimit = 64 << 10

  init(
    name: String, host: String, port: UInt16, version: Int, life: PeerLife, options: TCPOptions, traffic: Traffic,
    logger: Logger, inquiry: @escaping Inquiry
  ) {
    self.name = name
    self.host = host
    self.port = port
    self.version = version
    self.life = life
    hello = life.incarnation.map { TCPHello(incarnation: $0) }
    self.options = options
    self.traffic = traffic
    self.inquiry = inquiry
    log = EventLog(logger)
    room = Condition(monitor)
    turn = Condition(monitor)
    ended = Condition(monitor)
    for _ in 0..<options.lanes { slots.append(Slot(bell: Condition(monitor))) }
  }

  // MARK: Callers

  /// Whether `count` requests would be taken at once.
  func hasRoom(for count: Int) -> Bool {
    monitor.lock()
    defer { monitor.unlock() }
    return self.count + count <= options.queueLimit
  }

  /// Takes the requests that are linked from `oldest` on. Where there is no room, the caller waits until there is, but
  /// not past `deadline`: what has not found any by then has timed out.
  ///
  /// - Parameter mayWait: Whether the caller may be made to wait; the queue grows over its limit otherwise.
  func push(_ oldest: WorkRequestPointer, deadline: UInt64, mayWait: Bool) {
    var rest: WorkRequestPointer? = oldest
    var outcome = TransferStatus.State.failed
    monitor.lock()
    if let lane = borrow(for: oldest) {
      monitor.unlock()
      giveBack(lane, isOver: lane.carryOn(until: 0, for: nil))
      return
    }
    while !isClosed, let request = rest {
      if count >= options.queueLimit, mayWait {
        wakeLanes()
        guard room.wait(until: deadline) || Clock.now < deadline else {
          outcome = .timedOut
          break
        }
        continue
      }
      rest = request.pointee.next
      append(request)
    }
    wakeLanes()
    monitor.unlock()
    if rest != nil { settle(rest, as: outcome) }
  }

  // MARK: Lanes

  /// Waits until there is something to do for the thread of a lane. Returns nil when it is to end, which is counted
  /// already.
  func awaitWork(lane: Int) -> Work? {
    monitor.lock()
    defer { monitor.unlock() }
    if slots[lane].state == .busy { slots[lane].state = .resting }
    var patience = Clock.now &+ Self.idleTime
    var loans = slots[lane].loans
    var glances = 0
    while true {
      let now = Clock.now
      let isCalled = slots[lane].isCalled
      slots[lane].isCalled = false
      if slots[lane].state == .resting {
        if isClosed || (head == nil && now >= patience) { break }
        if head != nil {
          slots[lane].state = .busy
          return .requests
        }
      }
      if slots[lane].state == .left, isClosed || isCalled || now &- slots[lane].leftSince >= Self.attendance {
        slots[lane].state = .busy
        return .exchange
      }
      if slots[lane].loans != loans || slots[lane].state != .resting {
        loans = slots[lane].loans
        patience = now &+ Self.idleTime
        glances = 0
        slots[lane].isWatched = true
      } else {
        glances += 1
        slots[lane].isWatched = slots[lane].isWatched && glances <= Self.glances
      }
      _ = slots[lane].bell.wait(until: slots[lane].isWatched ? now &+ Self.glance : patience)
    }
    slots[lane].state = .absent
    slots[lane].lane = nil
    slots[lane].socket = -1
    slots[lane].isWatched = false
    running -= 1
    ended.broadcast()
    return nil
  }

  /// Takes a share of the queue: requests that can be sent in one go, and answered in one go after. Returns how many.
  func take(into window: UnsafeMutablePointer<WorkRequestPointer>, limit: Int) -> Int {
    monitor.lock()
    let expired = popExpired()
    let taken = fill(window, limit: limit)
    announceRoom()
    monitor.unlock()
    settle(expired, as: .timedOut)
    return taken
  }

  /// For the holder of the monitor.
  func fill(_ window: UnsafeMutablePointer<WorkRequestPointer>, limit: Int) -> Int {
    let share = min(max(bytes / options.lanes, Self.smallestShare), Self.largestShare)
    var taken = 0
    var size = 0
    while taken < limit, let request = head {
      if taken > 0 {
        // While the payload of a write is sent, nobody reads the answers to reads before it: the peer might wait for
        // that, and we for the peer.
        if request.pointee.opcode == .write, window[taken - 1].pointee.opcode == .read { break }
        if size + request.pointee.length > share { break }
      }
      removeFirst()
      window[taken] = request
      size += request.pointee.length
      taken += 1
    }
    return taken
  }

  /// Puts requests back where they came from: their connection is gone, and they were not what it broke of.
  func putBack(_ window: UnsafeMutablePointer<WorkRequestPointer>, _ range: Range<Int>) {
    guard !range.isEmpty else { return }
    monitor.lock()
    guard !isClosed else {
      monitor.unlock()
      var settlement = Settlement()
      for index in range { settlement.fail(window[index], as: .failed) }
      traffic.add(TCPStatistics.Counts(failures: UInt64(range.count)))
      settlement.flush()
      return
    }
    for index in range.reversed() {
      let request = window[index]
      request.pointee.next = head
      if head == nil { tail = request }
      head = request
      count += 1
      bytes += request.pointee.length
    }
    wakeLanes()
    monitor.unlock()
  }

  /// Gives up what waits and is too late. Lanes call it while they wait for something else.
  func sweep() {
    monitor.lock()
    let expired = popExpired()
    if expired != nil { announceRoom() }
    monitor.unlock()
    settle(expired, as: .timedOut)
  }

  /// Waits until it is this lane's turn to connect: one at a time, and not right after a failure. Returns false if there
  /// is nothing to do any more.
  func awaitTurn() -> Bool {
    monitor.lock()
    while true {
      guard head != nil, !isClosed else {
        monitor.unlock()
        return false
      }
      let now = Clock.now
      if let expired = popExpired() {
        announceRoom()
        monitor.unlock()
        settle(expired, as: .timedOut)
        monitor.lock()
        continue
      }
      if !isConnecting, now >= nextAttempt { break }
      _ = turn.wait(until: now &+ Self.tick)
    }
    isConnecting = true
    monitor.unlock()
    return true
  }

  /// Whether anybody still wants a connection.
  var isWanted: Bool {
    sweep()
    monitor.lock()
    defer { monitor.unlock() }
    return !isClosed
  }

  /// The lane has connected. Returns false if the peer is closed: the socket is then the lane's to close.
  func connected(_ socket: Int32, lane: Int) -> Bool {
    monitor.lock()
    defer { monitor.unlock() }
    isConnecting = false
    turn.broadcast()
    guard !isClosed else { return false }
    slots[lane].socket = socket
    return true
  }

  /// The lane has not found the engine that was planned for. It may have been restarted, or moved, so its owner is
  /// asked, by a thread of its own: nothing of what waits is sent meanwhile, and the lane looks after its deadlines.
  func doubt(_ doubt: Doubt) {
    if case .otherLife = doubt { life.markStale() }
    monitor.lock()
    guard !isClosed else {
      isConnecting = false
      monitor.unlock()
      return
    }
    // The thread counts among those that have to end, because it may have requests in its hands.
    running += 1
    monitor.unlock()
    do throws(TransferError) {
      try Thread(name: "moonrail-inquiry") { [self] in
        inquire(doubt)
        endInquiry()
      }.detach()
    } catch {
      resolve(doubt, error)
      endInquiry()
    }
  }

  private func endInquiry() {
    monitor.lock()
    running -= 1
    ended.broadcast()
    monitor.unlock()
  }

  private func inquire(_ doubt: Doubt) {
    do throws(TransferError) {
      guard let found = try inquiry(self) else {
        return resolve(doubt, Self.restarted(name))
      }
      if found.peer === self { return resolve(doubt, nil) }
      // An engine that does not tell its lives apart may be back here one day.
      if life.incarnation != nil { life.markStale() }
      monitor.lock()
      let waiting = popAll()
      connectLater()
      monitor.unlock()
      move(waiting, to: found.peer, found.snapshot)
    } catch {
      resolve(doubt, error)
    }
  }

  /// There is nobody else to turn to. `error`: what the inquiry ended with; nil if the engine is said to be where, and
  /// who, it was.
  private func resolve(_ doubt: Doubt, _ error: TransferError?) {
    var failure: TransferError
    var isFinal = true
    var isGone = false
    switch doubt {
    case .unreachable(let reason): failure = reason
    case .otherLife:
      failure = Self.restarted(name)
      isGone = true
    case .unanswered(let reason):
      failure = TransferError(
        .socket,
        "The TCP data port \(port) of \(host) does not say that it is \(name)'s: \(reason). See what listens there:"
          + " ss -ltnp.")
      isFinal = error != nil
    }
    if let error, error.code == .peerRestarted { failure = error }
    monitor.lock()
    // Where another lane is connected, that may be the engine that is meant.
    let failed = isGone || (isFinal && !slots.contains { $0.socket >= 0 }) ? popAll() : nil
    connectLater()
    monitor.unlock()
    let number = settle(failed, as: .failed)
    log.warning("\(failure) \(number) operations that waited for it have failed; the next try is in 1 s.")
  }

  /// Lets lanes try again after a while.
  private func connectLater() {
    isConnecting = false
    nextAttempt = Clock.now &+ Self.coolDown
    announceRoom()
    turn.broadcast()
  }

  /// Gives the requests that are linked from `first` on to the peer that has taken this one's place, where it has
  /// published the memory that they are for, and where this has not happened to them before.
  private func move(_ first: WorkRequestPointer?, to successor: TCPPeer, _ snapshot: PeerSnapshot) {
    var moved: Submission.Stream?
    var settlement = Settlement()
    var counts = (moved: 0, failed: 0)
    var cursor = first
    while let request = cursor {
      cursor = request.pointee.next
      request.pointee.next = nil
      guard !request.pointee.retries.contains(.peer),
        snapshot.holds(request.pointee.remote, length: request.pointee.length)
      else {
        counts.failed += 1
        settlement.fail(request, as: .failed)
        continue
      }
      request.pointee.retries.insert(.peer)
      if let youngest = moved?.youngest {
        youngest.pointee.next = request
      } else {
        moved = Submission.Stream(peer: successor, oldest: request)
      }
      moved?.youngest = request
      counts.moved += 1
    }
    traffic.add(TCPStatistics.Counts(failures: UInt64(counts.failed)))
    settlement.flush()
    log.warning(
      "\(Self.restarted(name)) Of the operations that waited, \(counts.moved) go to where it is now, and \(counts.failed)"
        + " have failed.")
    if let oldest = moved?.oldest { successor.push(oldest, deadline: 0, mayWait: false) }
  }

  private static func restarted(_ name: String) -> TransferError {
    TransferError(
      .peerRestarted,
      "\(name) was restarted: what it had published before does not hold any more. Try again when it has registered its"
        + " memory.")
  }

  /// The lane is about to close its socket.
  func disconnected(lane: Int) {
    monitor.lock()
    slots[lane].socket = -1
    monitor.unlock()
  }

  /// Something that the user should know.
  func report(_ text: String) { log.warning("TCP peer \(host) port \(port): \(text)") }

  /// Breaks the connections as a network would, for tests.
  func breakConnections() {
    monitor.lock()
    for slot in slots where slot.socket >= 0 { shutdown(slot.socket, Int32(SHUT_RDWR)) }
    monitor.unlock()
  }

  // MARK: The end

  /// Fails what waits and breaks what is under way. Nothing is taken any more.
  func close() {
    monitor.lock()
    isClosed = true
    let failed = popAll()
    for slot in slots where slot.socket >= 0 { shutdown(slot.socket, Int32(SHUT_RDWR)) }
    for slot in slots { slot.bell.broadcast() }
    room.broadcast()
    turn.broadcast()
    monitor.unlock()
    settle(failed, as: .failed)
  }

  /// Waits until all lanes have ended. Returns false at `deadline`: a lane may be waiting for a name server, and has no
  /// request then.
  func awaitEnd(until deadline: UInt64) -> Bool {
    monitor.lock()
    defer { monitor.unlock() }
    while running > 0 {
      guard ended.wait(until: deadline) || Clock.now < deadline else { return false }
    }
    return true
  }

  // MARK: Inside the monitor

  private func append(_ request: WorkRequestPointer) {
    request.pointee.next = nil
    if let tail { tail.pointee.next = request } else { head = request }
    tail = request
    count += 1
    bytes += request.pointee.length
  }

  private func removeFirst() {
    guard let request = head else { return }
    head = request.pointee.next
    if head == nil { tail = nil }
    request.pointee.next = nil
    count -= 1
    bytes -= request.pointee.length
  }

  /// All deadlines are equally far from submission, so the queue is nearly sorted by them.
  func popExpired() -> WorkRequestPointer? {
    guard let first = head else { return nil }
    let now = Clock.now
    guard first.pointee.deadline <= now else { return nil }
    var last = first
    while let request = head, request.pointee.deadline <= now {
      removeFirst()
      if request != first { last.pointee.next = request }
      last = request
    }
    return first
  }

  private func popAll() -> WorkRequestPointer? {
    let first = head
    head = nil
    tail = nil
    count = 0
    bytes = 0
    return first
  }

  func announceRoom() {
    if count < options.queueLimit { room.broadcast() }
  }

  /// Wakes the thread of a lane.
  func call(_ lane: Int) {
    guard !slots[lane].isCalled else { return }
    slots[lane].isCalled = true
    slots[lane].bell.signal()
  }

  /// Wakes, or starts, as many lanes as what waits is worth: those with a connection first.
  func wakeLanes() {
    guard count > 0, !isClosed else { return }
    var wanted = max((count - 1) / TCPLane.windowLimit, (bytes - 1) / Self.loadOfLane) + 1
    for pass in 0...1 {
      for lane in slots.indices where slots[lane].state == .resting && (slots[lane].socket >= 0) == (pass == 0) {
        guard wanted > 0 else { return }
        wanted -= 1
        call(lane)
      }
    }
    while wanted > 0, let free = slots.firstIndex(where: { $0.state == .absent }) {
      wanted -= 1
      let lane = TCPLane(self, number: free)
      slots[free].state = .busy
      slots[free].lane = lane
      running += 1
      do {
        let thread = try Thread(name: "moonrail-lane-\(free)") { lane.run() }
        thread.detach()
      } catch {
        slots[free].state = .absent
        slots[free].lane = nil
        running -= 1
        // With a lane at work, the rest is only slower. Without one, nobody would ever take it.
        guard running == 0 else { return }
        let failed = popAll()
        monitor.unlock()
        let number = settle(failed, as: .failed)
        log.warning("\(error) \(number) operations to \(host) have failed.")
        monitor.lock()
        return
      }
    }
  }

  // MARK: Outside of it

  /// Settles the requests that are linked from `first` on. Returns how many.
  @discardableResult
  func settle(_ first: WorkRequestPointer?, as state: TransferStatus.State) -> Int {
    guard first != nil else { return 0 }
    var settlement = Settlement()
    var cursor = first
    while let request = cursor {
      cursor = request.pointee.next
      settlement.fail(request, as: state)
    }
    settlement.flush()
    let settled = settlement.takeSettled()
    traffic.add(TCPStatistics.Counts(failures: UInt64(settled)))
    return settled
  }
}
