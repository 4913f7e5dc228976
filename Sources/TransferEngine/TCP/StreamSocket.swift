internal import CLinux
internal import Glibc

/// What the transport asks of its sockets: blocking ones, whose calls come back now and then so that their thread can
/// look at its deadlines.
enum StreamSocket {
  /// Prepares a connected or accepted socket for data.
  ///
  /// - Parameter tick: How long a call may block, in nanoseconds; it has then moved a part, or nothing (`EAGAIN`).
  static func prepare(_ socket: Int32, tick: UInt64) {
    set(socket, Int32(IPPROTO_TCP), TCP_NODELAY, Int32(1))
    // A host that has vanished says nothing: the kernel asks after a minute, and gives up after another.
    set(socket, SOL_SOCKET, SO_KEEPALIVE, Int32(1))
    set(socket, Int32(IPPROTO_TCP), TCP_KEEPIDLE, Int32(60))
    set(socket, Int32(IPPROTO_TCP), TCP_KEEPINTVL, Int32(15))
    set(socket, Int32(IPPROTO_TCP), TCP_KEEPCNT, Int32(4))
    let interval = timeval(tv_sec: Int(tick / 1_000_000_000), tv_usec: Int(tick % 1_000_000_000 / 1000))
    set(socket, SOL_SOCKET, SO_RCVTIMEO, interval)
    set(socket, SOL_SOCKET, SO_SNDTIMEO, interval)
  }

  /// None of these options is one that data depends on, so that a failure changes nothing.
  private static func set<Value: BitwiseCopyable>(_ socket: Int32, _ level: Int32, _ option: Int32, _ value: Value) {
    var value = value
    _ = setsockopt(socket, level, option, &value, socklen_t(MemoryLayout<Value>.size))
  }

  /// Whether nothing has arrived on a connection on which nothing can: neither bytes nor an end.
  static func isQuiet(_ socket: Int32) -> Bool {
    var byte: UInt8 = 0
    return recv(socket, &byte, 1, Int32(MSG_PEEK) | dontWait) < 0 && errno == EAGAIN
  }

  /// Waits until the socket is ready for `event`, or has an error, for `nanoseconds` at most.
  static func wait(_ socket: Int32, for event: Int32, nanoseconds: UInt64) {
    _ = clinux_await(socket, event, Int64(truncatingIfNeeded: nanoseconds))
  }

  static let waitForAll = Int32(MSG_WAITALL)
  static let dontWait = Int32(MSG_DONTWAIT)

  /// Connects to `host`, trying all of its addresses within `timeout` nanoseconds together.
  ///
  /// - Parameter isWanted: Asked several times a second; connecting ends when it says no.
  static func connect(
    host: String, port: UInt16, timeout: UInt64, isWanted: () -> Bool
  ) throws(TransferError) -> Int32 {
    let deadline = Clock.now &+ timeout
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    let code = host.utf8.contains(0) ? EAI_NONAME : getaddrinfo(host, String(port), &hints, &list)
    defer { if let list { freeaddrinfo(list) } }
    guard code == 0 else {
      throw TransferError(
        .dns, "\(host) has no address: \(String(cString: gai_strerror(code))). Check the name that the peer publishes.")
    }
    var failure = "no address"
    var next = list
    while let entry = next?.pointee {
      next = entry.ai_next
      let socket = socket(entry.ai_family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
      guard socket >= 0 else {
        failure = describe(errno)
        continue
      }
      let result = connect(socket, entry, until: deadline, isWanted: isWanted)
      if result == 0 { return socket }
      close(socket)
      failure = describe(result)
    }
    throw TransferError(
      .socket,
      "The TCP data port \(port) of \(host) cannot be reached: \(failure). Check that the peer runs, and that no"
        + " firewall is between.")
  }

  /// Returns 0 or an error number.
  private static func connect(
    _ socket: Int32, _ entry: addrinfo, until deadline: UInt64, isWanted: () -> Bool
  ) -> Int32 {
    let flags = fcntl(socket, F_GETFL)
    _ = fcntl(socket, F_SETFL, flags | O_NONBLOCK)
    if Glibc.connect(socket, entry.ai_addr, entry.ai_addrlen) != 0 {
      guard errno == EINPROGRESS else { return errno }
      while true {
        let now = Clock.now
        guard now < deadline, isWanted() else { return ETIMEDOUT }
        var poller = pollfd(fd: socket, events: Int16(POLLOUT), revents: 0)
        let milliseconds = min(100, (deadline &- now) / 1_000_000 &+ 1)
        if poll(&poller, 1, Int32(milliseconds)) > 0 { break }
      }
      var error: Int32 = 0
      var size = socklen_t(MemoryLayout<Int32>.size)
      guard getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size) == 0 else { return errno }
      guard error == 0 else { return error }
    }
    _ = fcntl(socket, F_SETFL, flags & ~O_NONBLOCK)
    return 0
  }

  static func describe(_ code: Int32) -> String { String(cString: strerror(code)) }
}
