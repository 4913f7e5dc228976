internal import CLinux
internal import Cuda
internal import Glibc
internal import Synchronization
internal import Wire

/// One connection of a peer: reads requests, checks every one of them, and moves the bytes between the socket and the
/// registered memory.
///
/// Nothing that arrives is trusted. A request that is broken or not allowed costs its connection, and nothing else.
final class TCPSession: @unchecked Sendable {
  private let socket: Int32
  /// Let go when ``run()`` returns: what is left of the thread then is nobody's to wait for, and must not keep the NICs
  /// open.
  private var registry: LocalRegistry?
  private let life: TCPHello
  private let progressTimeout: UInt64
  private let log: EventLog
  /// What it has served. Written by its thread alone.
  let served = Traffic()
  /// Since when it has waited for a request, in nanoseconds; 0 while it serves one.
  private let waiting: Atomic<UInt64>
  /// Set when it is ended from outside, so that it is not ended twice.
  private let isEnding = Atomic<Bool>(false)

  // What has been received beyond what was asked for: bytes `first..<last` of `input`.
  private let input = UnsafeMutableRawPointer.allocate(byteCount: TCPSession.inputLength, alignment: 8)
  private var first = 0
  private var last = 0
  /// How much of ``input`` a call may fill.
  private var lookahead = TCPRequestHeader.length
  private var arrival = StreamParts(capacity: 2)
  /// Payload of the requests since the last wait for one, in bytes.
  private var exchanged = 0
  /// Whether the last request that was waited for came within the time that a look takes.
  private var isPrompt = false

  // Answers that are not sent yet: what is pipelined is answered together.
  private var output = StreamParts(capacity: 2 * TCPSession.answerLimit + 1)
  /// What the answers are to, counted when they are sent.
  private var answered = TCPStatistics.Counts()
  /// Bytes moved for them, and those that wait in the answers.
  private var answeredBytes = 0
  private var outputBytes = 0
  /// The registrations that the answers are read from. None of them can be withdrawn before they are sent.
  private let uses = UnsafeMutablePointer<UnsafeMutablePointer<RegionUse>>.allocate(capacity: TCPSession.answerLimit)
  private var useCount = 0
  /// As many status frames as there may be answers: what says that all is well needs no writing.
  private let approvals = UnsafeMutableRawPointer.allocate(
    byteCount: TCPSession.answerLimit * TCPStatusFrame.length, alignment: 8)
  /// Whether the last part of ``output`` is of ``approvals``, and how many.
  private var approvalRun = 0
  private let status = UnsafeMutableRawPointer.allocate(byteCount: TCPStatusFrame.length, alignment: 8)
  /// Where the bytes of GPUs stop on their way; made when it is first needed, by the session's thread.
  private var staging: StagingBuffer?

  /// Answers that are sent together: those to an exchange of an engine of ours.
  private static let answerLimit = TCPLane.windowLimit
  /// Requests of together so many bytes are answered even if more are there.
  private static let answerBytes = 512 << 10
  /// Headers and small payloads are received together, up to so many bytes, and small payloads copied from there.
  private static let inputLength = 16 << 10
  /// After a payload of this size no more than the next header is received with it: what follows is as large, and goes
  /// to its place at once.
  private static let largePayload = 8 << 10
  /// The end of a payload is received together with the next header; what comes before it, of a long one, by itself.
  private static let tail = 64 << 10
  /// A request may take the progress timeout once for each of so many bytes: a peer that sends a byte now and then does
  /// not hold a buffer for ever.
  private static let bytesPerTimeout: UInt64 = 8 << 20
  /// What is read and thrown away after a refusal, so that the peer gets to see the reason, in bytes.
  private static let farewell = 1 << 20

  init(_ socket: Int32, registry: LocalRegistry?, life: TCPHello, progressTimeout: UInt64, log: EventLog) {
    self.socket = socket
    self.registry = registry
    self.life = life
    self.progressTimeout = progressTimeout
    self.log = log
    waiting = Atomic(Clock.now)
    for index in 0..<Self.answerLimit {
      TCPStatusFrame.ok.encode(into: approvals + index * TCPStatusFrame.length)
    }
  }

  deinit {
    input.deallocate()
    uses.deallocate()
    approvals.deallocate()
    status.deallocate()
  }

  // MARK: For the server

  /// Whether it has waited for a request for `duration` nanoseconds, and none has arrived that its thread is yet to see:
  /// one of the first framing is never asked for again. Only until ``close()``.
  func isIdle(at now: UInt64, for duration: UInt64) -> Bool {
    let since = idleSince
    guard since != 0, now > since, now &- since >= duration, !isEnding.load(ordering: .relaxed) else { return false }
    return StreamSocket.isQuiet(socket)
  }
  var idleSince: UInt64 { waiting.load(ordering: .relaxed) }

  /// Breaks the connection; its thread ends soon. Only until ``close()``.
  func end() {
    isEnding.store(true, ordering: .relaxed)
    shutdown(socket, Int32(SHUT_RDWR))
  }

  /// Called once, when the thread is done.
  func close() { Glibc.close(socket) }

  // MARK: Serving

  /// Serves until the connection ends.
  func run() {
    guard let registry else { return }
    self.registry = nil
    while readHeader() {
      if idleSince != 0 { waiting.store(0, ordering: .relaxed) }
      let header = input + first
      first += TCPRequestHeader.length
      if let hello = TCPHello(decoding: header) {
        guard answer(hello) else { break }
      } else {
        guard serve(TCPRequestHeader(decoding: header), of: registry) else { break }
      }
      // A peer that has sent nothing more may wait for the answer.
      if first == last, !flush() { break }
      if last - first < TCPRequestHeader.length { waiting.store(Clock.now, ordering: .relaxed) }
    }
    // A connection that ends is still owed what it was served.
    _ = flush()
  }

  /// Makes sure that the next header is in ``input``. Returns false when the connection is over, or a header takes too
  /// long.
  private func readHeader() -> Bool {
    guard last - first < TCPRequestHeader.length else { return true }
    input.copyMemory(from: input + first, byteCount: last - first)
    last -= first
    first = 0
    var start = Clock.now
    while last < TCPRequestHeader.length {
      let bytes =
        watch(since: start) ?? recv(socket, input + last, lookahead - last, hasAnswers ? StreamSocket.dontWait : 0)
      if bytes > 0 {
        if last == 0 {
          let now = Clock.now
          if !hasAnswers {
            isPrompt = now &- start < Watchers.patience
            exchanged = 0
          }
          start = now
        }
        last += bytes
      } else {
        guard bytes < 0, errno == EAGAIN || errno == EINTR else { return false }
        if hasAnswers, !flush() { return false }
      }
      // Between requests a peer may be silent as long as it likes; inside of one it may not.
      if last > 0, last < TCPRequestHeader.length, Clock.now &- start > progressTimeout { return false }
    }
    return true
  }

  /// Looks for the next request without sleeping, where the peer has nothing to wait for but its answers: little has been
  /// asked for, and the request before came at once. Returns what receiving came to; nil where nobody has looked, or nothing
  /// has come.
  private func watch(since start: UInt64) -> Int? {
    guard isPrompt, last == 0, exchanged <= Watchers.shortExchange, !hasAnswers else { return nil }
    return Watchers.process.look(since: start) { recv(socket, input, lookahead, StreamSocket.dontWait) }
  }

  /// Says whether this is the life that is meant. If not, the connection is over: nothing may be written by its plan.
  private func answer(_ hello: TCPHello) -> Bool {
    let isMeant = hello == life
    return flush() && reply(isMeant ? .sameLife : .otherLife, until: Clock.now &+ progressTimeout) && isMeant
  }

  private func serve(_ request: TCPRequestHeader, of registry: LocalRegistry) -> Bool {
    let opcode: TransferOpcode = request.opcode == .write ? .write : .read
    guard let use = registry.beginUse(of: request.address, length: request.size, for: opcode),
      let address = UnsafeMutableRawPointer(bitPattern: UInt(truncatingIfNeeded: request.address))
    else {
      reject(request)
      return fail()
    }
    // What was to be read before this has the bytes from before this.
    if opcode == .write, useCount > 0, !flush() {
      use.pointee.count.subtract(1, ordering: .releasing)
      return fail()
    }
    let length = Int(truncatingIfNeeded: request.size)
    lookahead = opcode == .write && length >= Self.largePayload ? TCPRequestHeader.length : Self.inputLength
    if opcode == .read, use.pointee.gpu == nil {
      if request.isAcknowledged { approve() }
      output.append(address, length)
      approvalRun = 0
      outputBytes += length
      // Until this is given back, which is when it is sent, the buffer cannot be unregistered.
      uses[useCount] = use
      useCount += 1
    } else {
      defer { use.pointee.count.subtract(1, ordering: .releasing) }
      if let gpu = use.pointee.gpu {
        guard flush(), serve(request, address, length, from: gpu) else { return fail() }
      } else {
        guard receive(into: address, length, until: deadline(length)) else { return fail() }
        if request.isAcknowledged { approve() }
      }
    }
    answered.add(TCPStatistics.Counts(bytes: request.size, operations: 1))
    answeredBytes &+= length
    exchanged &+= length
    return answered.operations < Self.answerLimit && answeredBytes < Self.answerBytes || flush()
  }

  private func fail() -> Bool {
    served.addAlone(TCPStatistics.Counts(failures: 1))
    return false
  }

  /// How long moving `length` bytes may take.
  private func deadline(_ length: Int) -> UInt64 {
    Clock.now &+ progressTimeout &* (2 &+ UInt64(truncatingIfNeeded: length) / Self.bytesPerTimeout)
  }

  /// Serves a request for memory of a GPU, which a socket does not reach: piece by piece through the staging buffer.
  private func serve(
    _ request: TCPRequestHeader, _ address: UnsafeMutableRawPointer, _ length: Int, from gpu: CUDAContext
  ) -> Bool {
    if staging == nil { staging = StagingBuffer(gpu) }
    guard let buffer = staging.map({ $0.baseAddress }) else { return false }
    let deadline = deadline(length)
    var done = 0
    do throws(CUDAError) {
      while done < length {
        let size = min(length - done, StagingBuffer.length)
        let place = UInt(bitPattern: address + done)
        if request.opcode == .write {
          guard receive(into: buffer, size, until: deadline) else { return false }
          try gpu.copy(to: place, from: UInt(bitPattern: buffer), count: size)
        } else {
          try gpu.copy(to: UInt(bitPattern: buffer), from: place, count: size)
          if request.isAcknowledged, done == 0 { approve() }
          output.append(buffer, size)
          guard send(until: deadline) else { return false }
        }
        done += size
      }
    } catch {
      log.warning("TCP: memory of GPU \(gpu.ordinal) could not be served to a peer: \(error)")
      // Once a part of an answer is out, nothing but the end of the connection says that the rest does not come.
      if request.opcode == .write || done == 0 { refuse(request) }
      return false
    }
    if request.opcode == .write, request.isAcknowledged { approve() }
    return true
  }

  // MARK: Bytes

  /// Receives a payload, and as much of what follows it as ``lookahead`` allows.
  private func receive(into address: UnsafeMutableRawPointer, _ length: Int, until deadline: UInt64) -> Bool {
    var done = min(last - first, length)
    if done > 0 {
      address.copyMemory(from: input + first, byteCount: done)
      first += done
    }
    guard done < length else { return true }
    // Nothing is left in the input. Whoever sends much may want to hear first of what came before.
    first = 0
    last = 0
    if hasAnswers, length - done > Self.answerBytes, !flush() { return false }
    while done < length {
      let rest = length - done
      let isLong = rest > 2 * Self.tail
      let wanted = isLong ? rest - Self.tail : rest
      arrival.removeAll()
      arrival.append(address + done, wanted)
      if !isLong { arrival.append(input, lookahead) }
      let flags = hasAnswers ? StreamSocket.dontWait : isLong ? StreamSocket.waitForAll : 0
      let bytes = arrival.receive(from: socket, flags)
      if bytes > 0 {
        done += min(bytes, wanted)
        last = max(0, bytes - wanted)
      } else {
        let code = errno
        guard bytes < 0, code == EINTR || (code == EAGAIN && hasAnswers) else { return false }
        // The peer may be waiting for an answer before it goes on.
        guard !hasAnswers || flush() else { return false }
      }
      if done < length, Clock.now > deadline { return false }
    }
    return true
  }

  private var hasAnswers: Bool { answered.operations > 0 }

  /// Adds the answer that all is well.
  private func approve() {
    if approvalRun > 0 {
      output.extendLast(by: TCPStatusFrame.length)
    } else {
      output.append(approvals, TCPStatusFrame.length)
    }
    approvalRun += 1
    outputBytes += TCPStatusFrame.length
  }

  /// Sends the answers that are due, and counts what they are to. Returns false if the connection is over.
  private func flush() -> Bool {
    guard hasAnswers else { return true }
    let isSent = send(until: deadline(outputBytes))
    if isSent {
      served.addAlone(answered)
    } else {
      served.addAlone(TCPStatistics.Counts(failures: answered.operations))
    }
    answered = TCPStatistics.Counts()
    answeredBytes = 0
    return isSent
  }

  /// Sends ``output``, which is empty after it, whatever happens.
  private func send(until deadline: UInt64) -> Bool {
    defer {
      output.removeAll()
      outputBytes = 0
      approvalRun = 0
      for index in 0..<useCount { uses[index].pointee.count.subtract(1, ordering: .releasing) }
      useCount = 0
    }
    while !output.isEmpty {
      let bytes = output.send(to: socket, 0)
      guard bytes > 0 || (bytes < 0 && errno == EINTR) else { return false }
      output.advance(by: max(0, bytes))
      if !output.isEmpty, Clock.now > deadline { return false }
    }
    return true
  }

  /// Sends a status of its own.
  private func reply(_ frame: TCPStatusFrame, until deadline: UInt64) -> Bool {
    frame.encode(into: status)
    output.append(status, TCPStatusFrame.length)
    return send(until: deadline)
  }

  private func reject(_ request: TCPRequestHeader) {
    log.warning(
      "TCP: a peer asked to \(request.opcode) \(request.size) bytes at 0x\(String(request.address, radix: 16)), which are"
        + " not inside a buffer that is registered for that: refused")
    refuse(request)
  }

  /// Answers that the request was not carried out, which is the connection's last answer.
  private func refuse(_ request: TCPRequestHeader) {
    // In the order of the requests.
    guard flush(), request.isAcknowledged, reply(.rejected, until: Clock.now) else { return }
    // Closing with unread bytes would reset the connection, and might take the answer back before the peer has it.
    shutdown(socket, Int32(SHUT_WR))
    var left = Self.farewell
    var patience = timeval(tv_sec: 0, tv_usec: 100_000)
    _ = setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    while left > 0 {
      // The kernel throws the bytes away by itself.
      let bytes = recv(socket, nil, left, Int32(MSG_TRUNC))
      guard bytes > 0 else { return }
      left -= bytes
    }
  }
}
