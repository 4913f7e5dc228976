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

  private let header = UnsafeMutableRawPointer.allocate(byteCount: TCPRequestHeader.length, alignment: 8)
  private let status = UnsafeMutableRawPointer.allocate(byteCount: TCPStatusFrame.length, alignment: 8)
  /// Where the bytes of GPUs stop on their way; made when it is first needed, by the session's thread.
  private var staging: StagingBuffer?
  private let parts = UnsafeMutablePointer<clinux_part>.allocate(capacity: 2)

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
  }

  deinit {
    header.deallocate()
    status.deallocate()
    parts.deallocate()
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
      waiting.store(0, ordering: .relaxed)
      if let hello = TCPHello(decoding: header) {
        guard answer(hello) else { return }
      } else {
        let request = TCPRequestHeader(decoding: header)
        let isServed = serve(request, of: registry)
        served.addAlone(
          isServed ? TCPStatistics.Counts(bytes: request.size, operations: 1) : TCPStatistics.Counts(failures: 1))
        guard isServed else { return }
      }
      waiting.store(Clock.now, ordering: .relaxed)
    }
  }

  /// Returns false when the connection is over, or a header takes too long.
  private func readHeader() -> Bool {
    var length = 0
    var start: UInt64 = 0
    while length < TCPRequestHeader.length {
      let bytes = recv(socket, header + length, TCPRequestHeader.length - length, 0)
      if bytes > 0 {
        if length == 0 { start = Clock.now }
        length += bytes
      } else {
        guard bytes < 0, errno == EAGAIN || errno == EINTR else { return false }
      }
      // Between requests a peer may be silent as long as it likes; inside of one it may not.
      if length > 0, length < TCPRequestHeader.length, Clock.now &- start > progressTimeout { return false }
    }
    return true
  }

  /// Says whether this is the life that is meant. If not, the connection is over: nothing may be written by its plan.
  private func answer(_ hello: TCPHello) -> Bool {
    let isMeant = hello == life
    (isMeant ? TCPStatusFrame.sameLife : .otherLife).encode(into: status)
    return send(status, TCPStatusFrame.length, nil, 0, until: Clock.now &+ progressTimeout) && isMeant
  }

  private func serve(_ request: TCPRequestHeader, of registry: LocalRegistry) -> Bool {
    let opcode: TransferOpcode = request.opcode == .write ? .write : .read
    guard let use = registry.beginUse(of: request.address, length: request.size, for: opcode),
      let address = UnsafeMutableRawPointer(bitPattern: UInt(truncatingIfNeeded: request.address))
    else {
      reject(request)
      return false
    }
    // Until this is given back, the buffer cannot be unregistered.
    defer { use.pointee.count.subtract(1, ordering: .releasing) }
    let length = Int(truncatingIfNeeded: request.size)
    TCPStatusFrame.ok.encode(into: status)
    if let gpu = use.pointee.gpu { return serve(request, address, length, from: gpu) }
    let deadline = deadline(of: request)
    switch opcode {
    case .write:
      guard receive(into: address, length, until: deadline) else { return false }
      return !request.isAcknowledged || send(status, TCPStatusFrame.length, nil, 0, until: deadline)
    case .read:
      return send(status, request.isAcknowledged ? TCPStatusFrame.length : 0, address, length, until: deadline)
    }
  }

  /// How long the whole of a request may take.
  private func deadline(of request: TCPRequestHeader) -> UInt64 {
    Clock.now &+ progressTimeout &* (2 &+ request.size / Self.bytesPerTimeout)
  }

  /// Serves a request for memory of a GPU, which a socket does not reach: piece by piece through the staging buffer.
  private func serve(
    _ request: TCPRequestHeader, _ address: UnsafeMutableRawPointer, _ length: Int, from gpu: CUDAContext
  ) -> Bool {
    if staging == nil { staging = StagingBuffer(gpu) }
    guard let buffer = staging.map({ $0.baseAddress }) else { return false }
    let deadline = deadline(of: request)
    let statusLength = request.isAcknowledged ? TCPStatusFrame.length : 0
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
          guard send(status, done == 0 ? statusLength : 0, buffer, size, until: deadline) else { return false }
        }
        done += size
      }
    } catch {
      log.warning("TCP: memory of GPU \(gpu.ordinal) could not be served to a peer: \(error)")
      // Once a part of an answer is out, nothing but the end of the connection says that the rest does not come.
      if request.opcode == .write || done == 0 { refuse(request) }
      return false
    }
    return request.opcode == .read || statusLength == 0 || send(status, statusLength, nil, 0, until: deadline)
  }

  private func receive(into address: UnsafeMutableRawPointer, _ length: Int, until deadline: UInt64) -> Bool {
    var done = 0
    while done < length {
      let bytes = recv(socket, address + done, length - done, StreamSocket.waitForAll)
      guard bytes > 0 || (bytes < 0 && errno == EINTR) else { return false }
      done += max(0, bytes)
      if done < length, Clock.now > deadline { return false }
    }
    return true
  }

  private func send(
    _ first: UnsafeMutableRawPointer, _ firstLength: Int, _ second: UnsafeMutableRawPointer?, _ secondLength: Int,
    until deadline: UInt64
  ) -> Bool {
    let total = firstLength + secondLength
    var done = 0
    while done < total {
      var count = 0
      if done < firstLength {
        parts[count] = clinux_part(base: first + done, length: firstLength - done)
        count += 1
      }
      let skipped = max(0, done - firstLength)
      if secondLength > skipped {
        parts[count] = clinux_part(base: second.map { $0 + skipped }, length: secondLength - skipped)
        count += 1
      }
      let bytes = clinux_send(socket, parts, count, 0)
      guard bytes > 0 || (bytes < 0 && errno == EINTR) else { return false }
      done += max(0, bytes)
      if done < total, Clock.now > deadline { return false }
    }
    return true
  }

  private func reject(_ request: TCPRequestHeader) {
    log.warning(
      "TCP: a peer asked to \(request.opcode) \(request.size) bytes at 0x\(String(request.address, radix: 16)), which are"
        + " not inside a buffer that is registered for that: refused")
    refuse(request)
  }

  /// Answers that the request was not carried out, which is the connection's last answer.
  private func refuse(_ request: TCPRequestHeader) {
    guard request.isAcknowledged else { return }
    TCPStatusFrame.rejected.encode(into: status)
    guard send(status, TCPStatusFrame.length, nil, 0, until: Clock.now) else { return }
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
