internal import CLinux
internal import Cuda
internal import Glibc
internal import Wire

/// One connection to a peer, and the thread that works it: takes some requests, sends them, reads the answers, settles
/// them.
///
/// Bytes go from the caller's memory into the socket and back, without a stop in between; those of a GPU, which a socket
/// does not reach, by way of a buffer of the lane's own.
final class TCPLane {
  /// Requests taken at once.
  static let windowLimit = 64

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

  private let peer: TCPPeer
  private let number: Int
  private let isAcknowledged: Bool
  private var socket: Int32 = -1
  /// Exchanges that this connection has completed.
  private var exchanges = 0
  /// Exchanges that are to have one request only, so that a fault says which request it is about.
  private var careful = 0

  // The exchange that is under way.
  private let window = UnsafeMutablePointer<WorkRequestPointer>.allocate(capacity: windowLimit)
  private var count = 0
  /// Requests settled.
  private var done = 0
  /// Bytes received of the answer to request ``done``.
  private var received = 0
  private var settlement = Settlement()
  /// What was settled since the peer's counters were told.
  private var counts = TCPStatistics.Counts()
  /// Room for one more, as in ``parts``: the fence.
  private let headers = UnsafeMutableRawPointer.allocate(
    byteCount: (windowLimit + 1) * TCPRequestHeader.length, alignment: 8)
  private let statuses = UnsafeMutableRawPointer.allocate(byteCount: windowLimit * TCPStatusFrame.length, alignment: 8)
  private let parts = UnsafeMutablePointer<clinux_part>.allocate(capacity: 2 * windowLimit + 1)
  /// Where the bytes of GPUs stop on their way; made when it is first needed.
  private var staging: StagingBuffer?
  /// The places in it of the window's requests whose memory is a GPU's.
  private let places = UnsafeMutablePointer<Int>.allocate(capacity: windowLimit)

  /// A payload from this size on is received by itself, with one call that comes back when it is complete.
  private static let largePayload = 64 << 10

  init(_ peer: TCPPeer, number: Int) {
    self.peer = peer
    self.number = number
    isAcknowledged = peer.version >= 2
  }

  deinit {
    window.deallocate()
    headers.deallocate()
    statuses.deallocate()
    parts.deallocate()
    places.deallocate()
  }

  /// The life of the lane's thread.
  func run() {
    while peer.awaitWork(lane: number) {
      // A connection that the peer has closed meanwhile takes bytes, and loses them.
      if socket >= 0, !StreamSocket.isQuiet(socket) { disconnect() }
      guard socket >= 0 || connect() else { continue }
      count = peer.take(into: window, limit: careful > 0 ? 1 : Self.windowLimit)
      guard count > 0 else { continue }
      careful = max(0, careful - 1)
      if let fault = exchange() {
        recover(from: fault)
      } else {
        exchanges += 1
        if !peer.options.keepsConnections { disconnect() }
      }
    }
    disconnect()
  }

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

  private func exchange() -> Fault? {
    done = 0
    received = 0
    if let fault = stage() { return fault }
    if let fault = send() {
      // The peer may have said why before it closed.
      if case .closed = fault, isAcknowledged, let reason = receive(onlyWhatIsThere: true), case .rejected = reason {
        return reason
      }
      return fault
    }
    return receive(onlyWhatIsThere: false)
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

  private func send() -> Fault? {
    var total = 0
    for index in 0..<count {
      let request = window[index]
      let isWrite = request.pointee.opcode == .write
      let place = headers + index * TCPRequestHeader.length
      TCPRequestHeader(
        isWrite ? .write : .read, address: request.pointee.remote,
        size: UInt64(truncatingIfNeeded: request.pointee.length), isAcknowledged: isAcknowledged
      ).encode(into: place)
      parts[total] = clinux_part(base: place, length: TCPRequestHeader.length)
      total += 1
      if isWrite {
        parts[total] = clinux_part(base: memory(of: index), length: request.pointee.length)
        total += 1
      }
    }
    if hasFence {
      let place = headers + count * TCPRequestHeader.length
      TCPRequestHeader(.read, address: window[count - 1].pointee.remote, size: 1, isAcknowledged: false)
        .encode(into: place)
      parts[total] = clinux_part(base: place, length: TCPRequestHeader.length)
      total += 1
    }
    var first = 0
    var lastProgress = Clock.now
    while first < total {
      let sent = clinux_send(socket, parts + first, total - first, 0)
      if sent > 0 {
        lastProgress = Clock.now
        advance(&first, by: sent)
      } else if let fault = fault(sent, since: lastProgress, limit: peer.options.progressTimeout, "took nothing") {
        return fault
      }
    }
    return nil
  }

  private func advance(_ first: inout Int, by bytes: Int) {
    var rest = bytes
    while rest > 0 {
      let here = parts[first].length
      guard rest >= here else {
        parts[first].base += rest
        parts[first].length -= rest
        return
      }
      rest -= here
      first += 1
    }
  }

  private func receive(onlyWhatIsThere: Bool) -> Fault? {
    let statusLength = isAcknowledged ? TCPStatusFrame.length : 0
    var lastProgress = Clock.now
    while done < count {
      let (total, isLarge) = expect(statusLength)
      let flags = onlyWhatIsThere ? StreamSocket.dontWait : isLarge ? StreamSocket.waitForAll : 0
      let bytes = clinux_receive(socket, parts, total, flags)
      guard bytes > 0 else {
        if onlyWhatIsThere { return .closed("") }
        // Before anything of the answer is here, it is the answer that is late.
        let limit = received == 0 ? peer.options.statusTimeout : peer.options.progressTimeout
        if let fault = fault(bytes, since: lastProgress, limit: limit, "answered nothing") { return fault }
        continue
      }
      lastProgress = Clock.now
      let fault = accept(bytes, statusLength)
      flush()
      if let fault { return fault }
    }
    return nil
  }

  /// Lays out where the answers that are due go. Returns the number of parts, and whether it is one large payload.
  private func expect(_ statusLength: Int) -> (parts: Int, isLarge: Bool) {
    var total = 0
    var offset = received
    var index = done
    while index < count {
      let request = window[index]
      let payload = request.pointee.opcode == .read ? request.pointee.length : 0
      if offset < statusLength {
        parts[total] = clinux_part(
          base: statuses + index * TCPStatusFrame.length + offset, length: statusLength - offset)
        total += 1
      }
      let skipped = max(0, offset - statusLength)
      if payload > 0 {
        parts[total] = clinux_part(
          base: memory(of: index).map { $0 + skipped }, length: payload - skipped)
        total += 1
        if payload - skipped >= Self.largePayload { return (total, total <= 2) }
      }
      offset = 0
      index += 1
    }
    if hasFence {
      // What the byte is does not matter.
      parts[total] = clinux_part(base: statuses, length: 1)
      total += 1
    }
    return (total, false)
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

  /// What it means that a call has moved nothing.
  private func fault(_ result: Int, since lastProgress: UInt64, limit: UInt64, _ what: String) -> Fault? {
    let code = errno
    guard result < 0 else { return .closed("it was closed") }
    guard code == EAGAIN || code == EINTR else { return .closed(StreamSocket.describe(code)) }
    peer.sweep()
    let now = Clock.now
    if window[done].pointee.deadline <= now { return .expired }
    if now &- lastProgress >= limit { return .stuck("the peer \(what) for \(limit / 1_000_000_000) s") }
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
