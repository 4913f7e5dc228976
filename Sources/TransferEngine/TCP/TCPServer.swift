internal import CLinux
internal import Glibc
internal import Logging
internal import Metadata
internal import Synchronization
internal import Wire

/// The data listener: a thread that accepts, and one for each connection.
final class TCPServer: @unchecked Sendable {
  /// The port, drawn from the range of the handshake's ports. Bound, and listening, since before anybody could hear of it.
  let port: UInt16

  private let listener: Int32
  /// The engine's. Threads here, of which the last steps are nobody's to wait for, must not keep the NICs open.
  private weak var registry: LocalRegistry?
  /// Which life of the engine this is.
  private let life: TCPHello
  private let options: TCPOptions
  private let log: EventLog

  private let monitor = Monitor()
  private let ended: Condition
  // These belong to the holder of the monitor.
  private var sessions: [TCPSession] = []
  /// What sessions that are over have served.
  private var past = TCPStatistics.Counts()
  private var threads = 0
  private var isClosed = false

  /// Connections served at once. Over it, the one that has been idle longest goes.
  static let sessionLimit = 1024
  private static let draws = 500
  private static let stackSize = 512 << 10

  /// Binds a port and starts to serve what `registry` holds.
  init(
    registry: LocalRegistry, incarnation: String, options: TCPOptions, ports: ClosedRange<UInt16>, backlog: Int32,
    logger: Logger
  ) throws(TransferError) {
    (listener, port) = try Self.listen(ports, backlog: backlog)
    self.registry = registry
    life = TCPHello(incarnation: incarnation)
    self.options = options
    log = EventLog(logger)
    ended = Condition(monitor)
    threads = 1
    do {
      // The thread holds the server until ``close()``.
      try Thread(name: "moonrail-accept", stackSize: Self.stackSize) { [self] in accept() }.detach()
    } catch {
      Glibc.close(listener)
      throw error
    }
  }

  // MARK: Listening

  /// One socket for IPv6 and IPv4, or for IPv4 where the host has no IPv6.
  private static func listen(
    _ ports: ClosedRange<UInt16>, backlog: Int32
  ) throws(TransferError) -> (Int32, UInt16) {
    var failure = "no port was tried"
    for port in ports.shuffled().prefix(draws) {
      for family in [AF_INET6, AF_INET] {
        switch bind(family, port, backlog: backlog) {
        case .success(let socket): return (socket, port)
        case .failure(let error):
          failure = "port \(port): \(StreamSocket.describe(error.code))"
          // A port that is taken for one family is taken.
          if error.code == EADDRINUSE { break }
          continue
        }
        break
      }
    }
    throw TransferError(
      .socket,
      "No port from \(ports.lowerBound) to \(ports.upperBound) can be listened on for TCP data (\(failure)). Set"
        + " MC_MIN_RPC_PORT and MC_MAX_RPC_PORT to a free range, or see who holds the ports: ss -ltnp.")
  }

  private struct BindError: Error { let code: Int32 }

  private static func bind(_ family: Int32, _ port: UInt16, backlog: Int32) -> Result<Int32, BindError> {
    let socket = socket(family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard socket >= 0 else { return .failure(BindError(code: errno)) }
    // Connections of an earlier life, which the kernel remembers for a minute, do not keep the port.
    var yes: Int32 = 1
    _ = setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
    var result: Int32
    if family == AF_INET6 {
      var no: Int32 = 0
      _ = setsockopt(socket, Int32(IPPROTO_IPV6), IPV6_V6ONLY, &no, socklen_t(MemoryLayout<Int32>.size))
      var address = sockaddr_in6()
      address.sin6_family = sa_family_t(AF_INET6)
      address.sin6_port = port.bigEndian
      result = withUnsafeBytes(of: &address) { bytes in
        Glibc.bind(
          socket, bytes.assumingMemoryBound(to: sockaddr.self).baseAddress, socklen_t(MemoryLayout<sockaddr_in6>.size))
      }
    } else {
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_port = port.bigEndian
      result = withUnsafeBytes(of: &address) { bytes in
        Glibc.bind(
          socket, bytes.assumingMemoryBound(to: sockaddr.self).baseAddress, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    if result == 0 { result = Glibc.listen(socket, backlog) }
    guard result == 0 else {
      defer { Glibc.close(socket) }
      return .failure(BindError(code: errno))
    }
    return .success(socket)
  }

  private func accept() {
    while true {
      let socket = clinux_accept(listener)
      let code = errno
      monitor.lock()
      let isClosed = isClosed
      monitor.unlock()
      guard !isClosed else {
        if socket >= 0 { Glibc.close(socket) }
        break
      }
      if socket >= 0 {
        serve(socket)
      } else if [EMFILE, ENFILE, ENOMEM, ENOBUFS].contains(code) {
        // The connection stays in the kernel's queue until there is room.
        log.warning("TCP: a connection cannot be accepted: \(StreamSocket.describe(code)). Raise ulimit -n.")
        evictIdlest()
        Thread.pause(microseconds: 20_000)
      } else if code != EINTR, code != ECONNABORTED {
        log.warning("TCP: accepting failed: \(StreamSocket.describe(code))")
        Thread.pause(microseconds: 20_000)
      }
    }
    Glibc.close(listener)
    end(nil)
  }

  // MARK: Sessions

  private func serve(_ socket: Int32) {
    StreamSocket.prepare(socket, tick: options.progressTimeout)
    let session = TCPSession(
      socket, registry: registry, life: life, progressTimeout: options.progressTimeout, log: log)
    monitor.lock()
    let isFull = sessions.count >= Self.sessionLimit
    monitor.unlock()
    if isFull, !evictIdlest() {
      log.warning("TCP: \(Self.sessionLimit) connections are busy; another one is refused")
      Glibc.close(socket)
      return
    }
    monitor.lock()
    guard !isClosed else {
      monitor.unlock()
      Glibc.close(socket)
      return
    }
    sessions.append(session)
    threads += 1
    monitor.unlock()
    do {
      try Thread(name: "moonrail-serve", stackSize: Self.stackSize) { [self] in
        session.run()
        end(session)
      }.detach()
    } catch {
      log.warning("TCP: a connection cannot be served: \(error)")
      end(session)
    }
  }

  /// Ends the session that has waited longest for its next request. Returns whether there was one.
  @discardableResult
  private func evictIdlest() -> Bool {
    monitor.lock()
    defer { monitor.unlock() }
    let idle = sessions.filter(\.isIdle).min { $0.idleSince < $1.idleSince }
    guard let idle else { return false }
    log.warning("TCP: more than \(sessions.count - 1) connections; the one that is idle longest is closed")
    sessions.removeAll { $0 === idle }
    idle.end()
    return true
  }

  /// A thread is done; its session, if it has one, is closed here, when nobody else can mean its socket any more.
  private func end(_ session: TCPSession?) {
    monitor.lock()
    if let session {
      sessions.removeAll { $0 === session }
      past.add(session.served.counts)
      session.close()
    }
    threads -= 1
    ended.broadcast()
    monitor.unlock()
  }

  /// What peers were served so far.
  var served: TCPStatistics.Counts {
    monitor.lock()
    defer { monitor.unlock() }
    return sessions.reduce(into: past) { $0.add($1.served.counts) }
  }

  // MARK: The end

  /// Stops listening and breaks all connections.
  func close() {
    monitor.lock()
    defer { monitor.unlock() }
    guard !isClosed else { return }
    isClosed = true
    // Lets the thread that accepts go, which then closes the socket.
    shutdown(listener, Int32(SHUT_RDWR))
    for session in sessions { session.end() }
  }

  /// Waits until all threads have ended. Returns false at `deadline`.
  func awaitEnd(until deadline: UInt64) -> Bool {
    monitor.lock()
    defer { monitor.unlock() }
    while threads > 0 {
      guard ended.wait(until: deadline) || Clock.now < deadline else { return false }
    }
    return true
  }
}
