internal import CLinux
internal import Cuda
internal import Glibc
internal import Synchronization
internal import Wire

/// One connection to a peer: takes some requests, sends them, reads the answers, settles them.
///
/// It is worked by whoever has it. That is its thread, which also makes the connection, or a caller to whom
/// ``TCPPeer`` has lent it: one that submits little sends it at once, and one that waits receives its answers itself, so
/// that no other thread has to be woken for it. An exchange can be left at any point and gone on with by somebody else.
///
/// Bytes go from the caller's memory into the socket and back, without a stop in between; those of a GPU, which a socket
/// does not reach, by way of a buffer of the lane's own.
final class TCPLane: @unchecked Sendable {
  /// Requests taken at once.
  static let windowLimit = 128

  /// Why an exchange ended early.
  private enum Fault {
    /// The connection is gone.
    case closed(String)
    /// The peer refuses the request whose answer was due.
    case rejected
    /// Nothing moved for too long.
    case stuck(String)
    /// The deadline of the request whose answer was due has passed.
    case expired
    /// The peer sent something that is no answer.
    case foreign
    /// The GPU did not give the bytes of the first request.
    case notCopied(CUDAError)
  }

  /// How far an exchange is.
  private enum Phase {
    case over, loaded, sending, receiving
  }

  /// What to do after a call that has moved nothing.
  private enum Step {
    case again
    case leave
    case end(Fault)
  }

  private let peer: TCPPeer
  let number: Int
  private let isAcknowledged: Bool
  private var socket: Int32 = -1
  /// Exchanges that this connection has completed.
  private var exchanges = 0
  /// Exchanges that are to have one request only, so that a fault says which request it is about.
  private var careful = 0

  // The exchange that is under way.
  private var phase = Phase.over
  let window = UnsafeMutablePointer<WorkRequestPointer>.allocate(capacity: windowLimit)
  private var count = 0
  /// Requests settled.
  private var done = 0
  /// Whether the exchange is so short that its caller looks for the answer before it sleeps.
  private var isShort = false
  /// Bytes received of the answer to request ``done``.
  private var received = 0
  /// When something was moved last, and when to look at the deadlines next, in nanoseconds.
  private var lastProgress: UInt64 = 0
  private var nextLook: UInt64 = 0
  private var settlement = Settlement()
  /// What was settled since the peer's counters were told.
  private var counts = TCPStatistics.Counts()
  /// Room for one more, as in ``parts``: the fence.
  private let headers = UnsafeMutableRawPointer.allocate(
    byteCount: (windowLimit + 1) * TCPRequestHeader.length, alignment: 8)
  private let statuses = UnsafeMutableRawPointer.allocate(byteCount: windowLimit * TCPStatusFrame.length, alignment: 8)
  private var parts = StreamParts(capacity: 2 * windowLimit + 1)
  /// Where the bytes of GPUs stop on their way; made when it is first needed.
  private var staging: StagingBuffer?
  /// The places in it of the window's requests whose memory is a GPU's.
  private let places = UnsafeMutablePointer<Int>.allocate(capacity: windowLimit)

  /// A payload from this size on is received by itself, with one call that comes back when it is complete.
  private static let largePayload = 64 << 10
  /// How long a caller waits at most for answers to others' requests before it looks after its own, in nanoseconds.
  private static let courtesy: UInt64 = 5_000_000

  init(_ peer: TCPPeer, number: Int) {
    self.peer = peer
    self.number = number
    isAcknowledged = peer.version >= 2
  }

  deinit {
    window.deallocate()
    headers.deallocate()
    statuses.deallocate()
    places.deallocate()
  }

  /// The life of the lane's thread.
  func run() {
    while let work = peer.awaitWork(lane: number) {
      if case .requests = work {
        if socket >= 0, !isOpen { disconnect() }
        guard socket >= 0 || connect() else { continue }
        let count = peer.take(into: window, limit: limit)
        guard count > 0 else { continue }
        begin(count)
      }
      _ = carryOn(until: .max, for: nil)
    }
    if socket >= 0 { close(socket) }
  }

  /// Requests that the next exchange may have.
  var limit: Int { careful > 0 ? 1 : Self.windowLimit }

  /// Whether the connection is open, as far as is known here: one that the peer has closed takes bytes, and loses them.
  /// Asked before every exchange: a request has one second chance, and all connections may have gone at once.
  var isOpen: Bool { StreamSocket.isQuiet(socket) }

  /// Whether the peer is yet to get a part of the requests.
  var isSending: Bool { phase == .loaded || phase == .sending }

  /// The batch of the request whose answer is due.
  var batch: BatchPointer? { done < count ? window[done].pointee.batch : nil }

  private func connect() -> Bool {
    guard peer.awaitTurn() else { return false }
    let socket: Int32
    do throws(TransferError) {
      socket = try StreamSocket.connect(
        host: peer.host, port: peer.port, timeout: peer.options.connectTimeout, isWanted: { peer.isWanted })
    } catch {
      peer.doubt(.unreachable(error))
      return false
    }
    StreamSocket.prepare(socket, tick: TCPPeer.tick)
    if let doubt = greet(socket) {
      close(socket)
      peer.doubt(doubt)
      return false
    }
    guard peer.connected(socket, lane: number) else {
      close(socket)
      return false
    }
    self.socket = socket
    exchanges = 0
    return true
  }

  /// Makes sure that the engine at the other end is the one that was planned for. Returns what speaks against it.
  private func greet(_ socket: Int32) -> TCPPeer.Doubt? {
    guard let hello = peer.hello else { return nil }
    let limit = min(peer.options.connectTimeout, peer.options.statusTimeout)
    switch Greeting.exchange(socket, hello, limit: limit, isWanted: { peer.isWanted }) {
    case .accepted: return nil
    case .otherLife: return .otherLife
    case .unanswered(let reason): return .unanswered(reason)
    }
  }

  private func disconnect() {
    guard socket >= 0 else { return }
    // Known to nobody before it is closed: its number may be another's right after.
    peer.disconnected(lane: number)
    close(socket)
    socket = -1
  }

  // MARK: Exchange

  /// The first `count` of ``window`` are to be exchanged.
  func begin(_ count: Int) {
    self.count = count
    careful = max(0, careful - 1)
    done = 0
    received = 0
    phase = .loaded
  }

  /// Moves the exchange on until it is over.
  ///
  /// - Parameters:
  ///   - deadline: How long the caller has time, in nanoseconds of the monotonic clock: it leaves then. 0: not at all.
  ///     What has just been sent is left without a look for the answer, then.
  ///   - batch: What the caller waits for; it leaves when that is settled.
  /// - Returns: false where the exchange is left before it is over.
  func carryOn(until deadline: UInt64, for batch: BatchPointer?) -> Bool {
    if let fault = move(until: deadline, for: batch) {
      recover(from: fault)
    } else {
      guard done == count else { return false }
      exchanges += 1
      if !peer.options.keepsConnections { disconnect() }
    }
    phase = .over
    return true
  }

  private func move(until deadline: UInt64, for batch: BatchPointer?) -> Fault? {
    if phase == .loaded {
      if let fault = stage() { return fault }
      layOut()
      lastProgress = Clock.now
      nextLook = lastProgress &+ TCPPeer.tick / 2
      phase = .sending
    }
    if phase == .sending {
      if let fault = send(until: deadline, for: batch) {
        // The peer may have said why before it closed.
        if case .closed = fault, isAcknowledged, let reason = receive(until: 0, for: nil), case .rejected = reason {
          return reason
        }
        return fault
      }
      guard parts.isEmpty else { return nil }
      phase = .receiving
      if deadline == 0 { return nil }
    }
    return receive(until: deadline, for: batch)
  }

  /// Whether a read of one byte follows the requests, which end with a write that nothing acknowledges. A server takes
  /// the requests of a connection one after the other, so what it answers to a read says that the writes before are in
  /// its memory.
  private var hasFence: Bool { !isAcknowledged && count > 0 && window[count - 1].pointee.opcode == .write }

  private func completeFirst() {
    if window[done].pointee.isOnGPU, window[done].pointee.opcode == .read, let error = deliver(window[done]) {
      peer.report("a read was received, and the GPU did not take it: \(error)")
      received = 0
      return failFirst(as: .failed)
    }
    counts.operations &+= 1
    counts.bytes &+= UInt64(truncatingIfNeeded: window[done].pointee.length)
    settlement.complete(window[done])
    done += 1
    received = 0
  }

  private func failFirst(as state: TransferStatus.State) {
    counts.failures &+= 1
    settlement.fail(window[done], as: state)
    done += 1
  }

  private func flush() {
    peer.traffic.add(counts)
    counts = TCPStatistics.Counts()
    settlement.flush()
  }

  /// Lays out what is to be sent.
  private func layOut() {
    parts.removeAll()
    var bytes = 0
    for index in 0..<count {
      let request = window[index]
      let isWrite = request.pointee.opcode == .write
      bytes &+= request.pointee.length
      let place = headers + index * TCPRequestHeader.length
      TCPRequestHeader(
        isWrite ? .write : .read, address: request.pointee.remote,
        size: UInt64(truncatingIfNeeded: request.pointee.length), isAcknowledged: isAcknowledged
      ).encode(into: place)
      parts.append(place, TCPRequestHeader.length)
      if isWrite { parts.append(memory(of: index), request.pointee.length) }
    }
    isShort = bytes <= Watchers.shortExchange
    if hasFence {
      let place = headers + count * TCPRequestHeader.length
      TCPRequestHeader(.read, address: window[count - 1].pointee.remote, size: 1, isAcknowledged: false)
        .encode(into: place)
      parts.append(place, TCPRequestHeader.length)
    }
  }

  private func send(until deadline: UInt64, for batch: BatchPointer?) -> Fault? {
    while !parts.isEmpty {
      let blocks = mayBlock(until: deadline, for: batch)
      let sent = parts.send(to: socket, blocks ? 0 : StreamSocket.dontWait)
      if sent > 0 {
        lastProgress = Clock.now
        parts.advance(by: sent)
        continue
      }
      let limit = peer.options.progressTimeout
      switch stall(sent, blocks ? 0 : POLLOUT, until: deadline, for: batch, limit: limit, "took nothing") {
      case .again: continue
      case .leave: return nil
      case .end(let fault): return fault
      }
    }
    return nil
  }

  private func receive(until deadline: UInt64, for batch: BatchPointer?) -> Fault? {
    let statusLength = isAcknowledged ? TCPStatusFrame.length : 0
    while done < count {
      let isLarge = expect(statusLength)
      let blocks = mayBlock(until: deadline, for: batch)
      let bytes =
        (batch != nil && blocks && isShort ? watch() : nil)
        ?? parts.receive(from: socket, !blocks ? StreamSocket.dontWait : isLarge ? StreamSocket.waitForAll : 0)
      if bytes > 0 {
        lastProgress = Clock.now
        let fault = accept(bytes, statusLength)
        flush()
        if let fault { return fault }
        if isSettled(batch), done < count { return nil }
        continue
      }
      // Before anything of the answer is here, it is the answer that is late.
      let limit = received == 0 ? peer.options.statusTimeout : peer.options.progressTimeout
      switch stall(bytes, blocks ? 0 : POLLIN, until: deadline, for: batch, limit: limit, "answered nothing") {
      case .again: continue
      case .leave: return nil
      case .end(let fault): return fault
      }
    }
    return nil
  }

  /// Looks for the answer to a short exchange without sleeping, for as long as it should take.
  private func watch() -> Int? {
    Watchers.process.look(since: lastProgress) { parts.receive(from: socket, StreamSocket.dontWait) }
  }

  /// Whether a call may block, which it does for ``TCPPeer/tick`` at most: a caller must have that much time, and wait
  /// for no more than its own.
  private func mayBlock(until deadline: UInt64, for batch: BatchPointer?) -> Bool {
    guard deadline > 0, batch == nil || window[done].pointee.batch == batch else { return false }
    if deadline == .max { return true }
    let now = Clock.now
    return now < deadline && deadline &- now >= TCPPeer.tick
  }

  private func isSettled(_ batch: BatchPointer?) -> Bool {
    batch.map { $0.pointee.outstanding.load(ordering: .acquiring) == 0 } ?? false
  }

  /// What follows from a call that has moved nothing. Where it did not wait, this does, until the socket is ready for
  /// `event`, or for a while.
  private func stall(
    _ result: Int, _ event: Int32, until deadline: UInt64, for batch: BatchPointer?, limit: UInt64, _ what: String
  ) -> Step {
    let code = errno
    guard result < 0 else { return .end(.closed("it was closed")) }
    guard code == EAGAIN || code == EINTR else { return .end(.closed(StreamSocket.describe(code))) }
    let now = Clock.now
    if now >= nextLook {
      nextLook = now &+ TCPPeer.tick / 2
      peer.sweep()
      if window[done].pointee.deadline <= now { return .end(.expired) }
      if now &- lastProgress >= limit {
        return .end(.stuck("the peer \(what) for \(limit / 1_000_000_000) s"))
      }
    }
    guard now < deadline, !isSettled(batch) else { return .leave }
    if event != 0 {
      StreamSocket.wait(socket, for: event, nanoseconds: min(deadline &- now, Self.courtesy))
    }
    return .again
  }

  /// Lays out where the answers that are due go. Returns whether it is one large payload.
  private func expect(_ statusLength: Int) -> Bool {
    parts.removeAll()
    var offset = received
    for index in done..<count {
      let request = window[index]
      let payload = request.pointee.opcode == .read ? request.pointee.length : 0
      if offset < statusLength {
        parts.append(statuses + index * TCPStatusFrame.length + offset, statusLength - offset)
      }
      let skipped = max(0, offset - statusLength)
      if payload > 0 {
        parts.append(memory(of: index).map { $0 + skipped }, payload - skipped)
        if payload - skipped >= Self.largePayload { return parts.count <= 2 }
      }
      offset = 0
    }
    // What the byte is does not matter.
    if hasFence { parts.append(statuses, 1) }
    return false
  }

  /// Settles what `bytes` more received bytes complete. Writes without an acknowledgement are complete when anything
  /// arrives that comes after them.
  private func accept(_ bytes: Int, _ statusLength: Int) -> Fault? {
    var rest = bytes
    while rest > 0, done < count {
      let request = window[done]
      let length = statusLength + (request.pointee.opcode == .read ? request.pointee.length : 0)
      let here = min(rest, length - received)
      let hadStatus = received >= statusLength
      received += here
      rest -= here
      if !hadStatus, received >= statusLength {
        guard let status = TCPStatusFrame(decoding: statuses + done * TCPStatusFrame.length) else { return .foreign }
        guard status == .ok else { return .rejected }
      }
      if received == length { completeFirst() }
    }
    return nil
  }

  // MARK: Memory of a GPU

  /// Where the bytes of request `index` leave the process and enter it.
  @inline(__always)
  private func memory(of index: Int) -> UnsafeMutableRawPointer? {
    let request = window[index]
    return request.pointee.isOnGPU ? staged(index) : request.pointee.local
  }

  @inline(never)
  private func staged(_ index: Int) -> UnsafeMutableRawPointer? {
    let place = places[index]
    return staging.map { $0.baseAddress + place }
  }

  /// Gives each request whose memory is a GPU's its place, and brings there what is to be written. They fit: the plan
  /// makes none larger than the buffer, and ``TCPPeer/take(into:limit:)`` no window.
  private func stage() -> Fault? {
    var place = 0
    for index in 0..<count where window[index].pointee.isOnGPU {
      let request = window[index]
      guard let gpu = request.pointee.use.pointee.gpu else { continue }
      if staging == nil { staging = StagingBuffer(gpu) }
      places[index] = place
      place += request.pointee.length
      guard request.pointee.opcode == .write else { continue }
      do throws(CUDAError) {
        try gpu.copy(
          to: UInt(bitPattern: staged(index)), from: UInt(bitPattern: request.pointee.local),
          count: request.pointee.length)
      } catch {
        // It becomes the first one, which is the one that has failed; nothing has been sent yet.
        window[index] = window[0]
        window[0] = request
        return .notCopied(error)
      }
    }
    return nil
  }

  /// Brings the answer to the first request that is open to its GPU.
  @inline(never)
  private func deliver(_ request: WorkRequestPointer) -> CUDAError? {
    do throws(CUDAError) {
      try request.pointee.use.pointee.gpu?.copy(
        to: UInt(bitPattern: request.pointee.local), from: UInt(bitPattern: staged(done)),
        count: request.pointee.length)
      return nil
    } catch {
      return error
    }
  }

  // MARK: Failure

  /// Settles what the fault has cost, and gives back what it has not.
  private func recover(from fault: Fault) {
    disconnect()
    let victim = window[done]
    let what =
      "\(victim.pointee.opcode) of \(victim.pointee.length) bytes at 0x\(String(victim.pointee.remote, radix: 16))"
    switch fault {
    case .rejected:
      peer.report("\(what) was refused: the range is not inside a buffer that it has registered for this")
      failFirst(as: .failed)
    case .closed(let reason):
      if received == 0, exchanges > 0, !victim.pointee.retries.contains(.connection) {
        // The peer closed a connection that had been used before, perhaps before it saw any of this. All of it can be
        // done twice: the same bytes go to the same places.
        victim.pointee.retries.insert(.connection)
      } else if !isAcknowledged, count > 1, victim.pointee.opcode == .write {
        // It may have been refused, or one after it: they are done again one by one, until it is known which.
        careful = Self.windowLimit
      } else {
        peer.report("\(what) failed: the connection broke: \(reason)")
        failFirst(as: .failed)
      }
    case .expired:
      let now = Clock.now
      var expired = 0
      while done < count, window[done].pointee.deadline <= now {
        failFirst(as: .timedOut)
        expired += 1
      }
      peer.report("\(expired) operations passed their deadline")
    case .stuck(let reason):
      peer.report("\(reason): \(count - done) operations have failed")
      failRest()
    case .notCopied(let error):
      peer.report("\(what) failed: the GPU did not give the bytes: \(error)")
      failFirst(as: .failed)
    case .foreign:
      peer.report("\(what) was answered with something that is no status frame; is there another service on the port?")
      failRest()
    }
    flush()
    peer.putBack(window, done..<count)
  }

  private func failRest() {
    while done < count { failFirst(as: .failed) }
  }
}
