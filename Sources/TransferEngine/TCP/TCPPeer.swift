internal import Cuda
internal import Glibc
internal import Logging
internal import Synchronization
internal import Wire

/// A TCP data listener at the other end: what waits to go there, and the lanes that take it.
///
/// Requests wait linked to each other, in one bounded queue from which all lanes help themselves. Whoever finds it full
/// waits for room; nothing fails for being too much.
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

  private let monitor = Monitor()
  /// There is work for an idle lane.
  private let work: Condition
  /// There is room for a caller.
  private let room: Condition
  /// A lane that wants to connect may look again.
  private let turn: Condition
  /// A lane has ended.
  private let ended: Condition

  // All of the following belongs to the holder of the monitor.
  private var head: WorkRequestPointer?
  private var tail: WorkRequestPointer?
  private var count = 0
  private var bytes = 0
  /// Per lane: whether its thread runs, and the socket it uses, -1 for none.
  private var isRunning: [Bool]
  private var sockets: [Int32]
  private var running = 0
  private var idle = 0
  private var isConnecting = false
  /// No connection is tried before this moment, in nanoseconds.
  private var nextAttempt: UInt64 = 0
  private var isClosed = false

  /// A lane looks at its deadlines this often, in nanoseconds.
  static let tick: UInt64 = 200_000_000
  /// A lane that had nothing to do for this long ends, and its connection with it.
  private static let idleTime: UInt64 = 60_000_000_000
  /// After a round of connecting that failed, in nanoseconds.
  private static let coolDown: UInt64 = 1_000_000_000
  /// What one lane takes at once: enough to fill the connection, little enough that the others get some and that it fits
  /// into the staging buffer.
  private static let smallestShare = 128 << 10
  private static let largestShare = min(1 << 20, StagingBuffer.length)

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
    work = Condition(monitor)
    room = Condition(monitor)
    turn = Condition(monitor)
    ended = Condition(monitor)
    isRunning = Array(repeating: false, count: options.lanes)
    sockets = Array(repeating: -1, count: options.lanes)
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

  /// Waits until there is something to send. Returns false when the lane is to end, which is counted already.
  func awaitWork(lane: Int) -> Bool {
    monitor.lock()
    defer { monitor.unlock() }
    let patience = Clock.now &+ Self.idleTime
    while head == nil, !isClosed {
      idle += 1
      let isInTime = work.wait(until: patience)
      idle -= 1
      if !isInTime, head == nil { break }
    }
    guard head != nil, !isClosed else {
      isRunning[lane] = false
      running -= 1
      ended.broadcast()
      return false
    }
    return true
  }

  /// Takes a share of the queue: requests that can be sent in one go, and answered in one go after. Returns how many.
  func take(into window: UnsafeMutablePointer<WorkRequestPointer>, limit: Int) -> Int {
    monitor.lock()
    let expired = popExpired()
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
    announceRoom()
    monitor.unlock()
    settle(expired, as: .timedOut)
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
    sockets[lane] = socket
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
    let failed = isGone || (isFinal && !sockets.contains { $0 >= 0 }) ? popAll() : nil
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
    sockets[lane] = -1
    monitor.unlock()
  }

  /// Something that the user should know.
  func report(_ text: String) { log.warning("TCP peer \(host) port \(port): \(text)") }

  /// Breaks the connections as a network would, for tests.
  func breakConnections() {
    monitor.lock()
    for socket in sockets where socket >= 0 { shutdown(socket, Int32(SHUT_RDWR)) }
    monitor.unlock()
  }

  // MARK: The end

  /// Fails what waits and breaks what is under way. Nothing is taken any more.
  func close() {
    monitor.lock()
    isClosed = true
    let failed = popAll()
    for socket in sockets where socket >= 0 { shutdown(socket, Int32(SHUT_RDWR)) }
    work.broadcast()
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
  private func popExpired() -> WorkRequestPointer? {
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

  private func announceRoom() {
    if count < options.queueLimit { room.broadcast() }
  }

  /// Wakes, or starts, as many lanes as what waits is worth.
  private func wakeLanes() {
    guard count > 0, !isClosed else { return }
    let wanted = max((count - 1) / TCPLane.windowLimit, (bytes - 1) / (2 * Self.smallestShare)) + 1
    for _ in 0..<min(wanted, idle) { work.signal() }
    var missing = min(wanted - idle, options.lanes - running)
    while missing > 0, let free = isRunning.firstIndex(of: false) {
      missing -= 1
      isRunning[free] = true
      running += 1
      do {
        let thread = try Thread(name: "moonrail-lane-\(free)") { [self] in TCPLane(self, number: free).run() }
        thread.detach()
      } catch {
        isRunning[free] = false
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
  private func settle(_ first: WorkRequestPointer?, as state: TransferStatus.State) -> Int {
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
