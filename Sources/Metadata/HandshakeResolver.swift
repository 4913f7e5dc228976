#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#endif
internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// Looks up a peer's addresses, of one family as the options say.
final class HandshakeResolver: Sendable {
  /// Lookups that may run or wait at once: more are a sign that the name server hangs.
  static let maximumLookups = 64

  private let usesIPv6: Bool
  private let running = Mutex(0)

  init(usesIPv6: Bool) { self.usesIPv6 = usesIPv6 }

  /// The addresses in the system's order. Fails with `nameNotResolved`, or `timedOut` at the deadline; a lookup that
  /// hangs keeps its thread until the system gives up.
  func addresses(
    of host: String, port: UInt16, on loop: any EventLoop, deadline: NIODeadline
  ) -> EventLoopFuture<[SocketAddress]> {
    if let address = literal(host, port: port) { return loop.makeSucceededFuture([address]) }
    guard begin() else {
      return loop.makeFailedFuture(
        MetadataError(
          .nameNotResolved, "\(host) is not looked up: \(Self.maximumLookups) lookups are under way",
          advice: "the name server does not answer; check it, or use addresses instead of names"))
    }
    let promise = loop.makePromise(of: [SocketAddress].self)
    let timer = loop.scheduleTask(deadline: deadline) {
      promise.fail(
        MetadataError(
          .timedOut, "the lookup of \(host) took too long",
          advice: "check the name server, use an address, or raise MC_HANDSHAKE_CONNECT_TIMEOUT"))
    }
    let usesIPv6 = usesIPv6
    NIOThreadPool.singleton.runIfActive(eventLoop: loop) {
      defer { self.end() }
      return try Self.lookUp(host, port: port, usesIPv6: usesIPv6)
    }.whenComplete { result in
      timer.cancel()
      promise.completeWith(result)
    }
    return promise.futureResult
  }

  private func begin() -> Bool {
    running.withLock { count in
      guard count < Self.maximumLookups else { return false }
      count += 1
      return true
    }
  }

  private func end() { running.withLock { $0 -= 1 } }

  /// An address in digits of the family in use needs no lookup, and so no thread.
  private func literal(_ host: String, port: UInt16) -> SocketAddress? {
    guard !host.utf8.contains(0), let address = try? SocketAddress(ipAddress: host, port: Int(port)) else { return nil }
    guard address.protocol == (usesIPv6 ? .inet6 : .inet) else { return nil }
    return address
  }

  private static func lookUp(_ host: String, port: UInt16, usesIPv6: Bool) throws -> [SocketAddress] {
    let family = usesIPv6 ? "IPv6" : "IPv4"
    var hints = addrinfo()
    hints.ai_family = usesIPv6 ? AF_INET6 : AF_INET
    #if canImport(Glibc)
      hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    #else
      hints.ai_socktype = SOCK_STREAM
    #endif
    var list: UnsafeMutablePointer<addrinfo>?
    // A NUL would make the system look up another name than the caller asked for.
    let code = host.utf8.contains(0) ? EAI_NONAME : getaddrinfo(host, String(port), &hints, &list)
    defer { if let list { freeaddrinfo(list) } }
    var found: [SocketAddress] = []
    var next = code == 0 ? list : nil
    while let entry = next?.pointee {
      if let raw = UnsafeRawPointer(entry.ai_addr) {
        switch entry.ai_family {
        case AF_INET: found.append(SocketAddress(raw.loadUnaligned(as: sockaddr_in.self)))
        case AF_INET6: found.append(SocketAddress(raw.loadUnaligned(as: sockaddr_in6.self)))
        default: break
        }
      }
      next = entry.ai_next
    }
    guard found.isEmpty else { return found }
    let reason = code == 0 ? "no address" : String(cString: gai_strerror(code))
    throw MetadataError(
      .nameNotResolved, "\(host) has no \(family) address: \(reason)",
      advice: usesIPv6
        ? "check the name, or unset MC_USE_IPV6 if the peer has only IPv4"
        : "check the name, or set MC_USE_IPV6=1 if the peer has only IPv6")
  }
}
