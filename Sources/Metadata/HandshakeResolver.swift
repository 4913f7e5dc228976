#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#endif
internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// Looks up a peer's addresses, of one family as the options say, or a store's of any.
final class HandshakeResolver: Sendable {
  /// Lookups that may run or wait at once: more are a sign that the name server hangs.
  static let maximumLookups = 64

  enum Family {
    case ipv4
    case ipv6
    case any
  }

  private let family: Family
  private let running = Mutex(0)

  init(family: Family) { self.family = family }

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
    let family = family
    NIOThreadPool.singleton.runIfActive(eventLoop: loop) {
      defer { self.end() }
      return try Self.lookUp(host, port: port, family: family)
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
    switch family {
    case .ipv4: return address.protocol == .inet ? address : nil
    case .ipv6: return address.protocol == .inet6 ? address : nil
    case .any: return address
    }
  }

  private static func lookUp(_ host: String, port: UInt16, family: Family) throws -> [SocketAddress] {
    var hints = addrinfo()
    switch family {
    case .ipv4: hints.ai_family = AF_INET
    case .ipv6: hints.ai_family = AF_INET6
    case .any: hints.ai_family = AF_UNSPEC
    }
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
    let (kind, advice) =
      switch family {
      case .ipv4: ("IPv4 address", "check the name, or set MC_USE_IPV6=1 if the peer has only IPv6")
      case .ipv6: ("IPv6 address", "check the name, or unset MC_USE_IPV6 if the peer has only IPv4")
      case .any: ("address", "check the name, and the name server")
      }
    throw MetadataError(.nameNotResolved, "\(host) has no \(kind): \(reason)", advice: advice)
  }
}
