internal import FoundationEssentials
internal import Glibc
internal import Logging
internal import Metadata
internal import NIOCore
internal import NIOPosix
internal import Synchronization
internal import Wire

/// Asks the engine that owns a name whether it is still there.
final class OwnerCheck: Sendable {
  /// What is known of an owner, and why.
  enum Verdict: Sendable, Equatable {
    case alive(String)
    case dead(String)
    /// Too many are being asked.
    case busy
  }

  private struct Location: Decodable {
    let ip_or_host_name: String
    let rpc_port: UInt16
  }

  private let group: any EventLoopGroup
  private let connectTimeout: Duration
  private let maximum: Int
  private let running = Mutex(0)
  private let clients: (v4: HandshakeClient, v6: HandshakeClient)

  init(_ options: MetadataServerOptions, group: any EventLoopGroup, logger: Logger) {
    self.group = group
    connectTimeout = options.ownerConnectTimeout
    maximum = options.maximumOwnerChecks
    var handshake = HandshakeOptions()
    handshake.connectTimeout = options.ownerConnectTimeout
    handshake.replyTimeout = options.ownerReplyTimeout
    let v4 = HandshakeClient(options: handshake, group: group, logger: logger)
    handshake.usesIPv6 = true
    clients = (v4, HandshakeClient(options: handshake, group: group, logger: logger))
  }

  /// Whether the engine lives that published `value`. An owner that cannot be asked counts as alive: two engines under
  /// one name are worse than one that has to wait for a person.
  func verdict(of value: ByteBuffer, on loop: any EventLoop) -> EventLoopFuture<Verdict> {
    // A longer one is no location; it would take time to read.
    guard value.readableBytes <= 65536,
      let location = try? JSONDecoder().decode(Location.self, from: Data(value.readableBytesView)),
      !location.ip_or_host_name.isEmpty, location.rpc_port > 0
    else { return loop.makeSucceededFuture(.alive("its entry does not say where it is, so it cannot be asked")) }
    guard begin() else { return loop.makeSucceededFuture(.busy) }
    let place = HostPort(host: location.ip_or_host_name, port: location.rpc_port).description
    let verdict = ClientBootstrap(group: group)
      .connectTimeout(connectTimeout.timeAmount)
      .connect(host: location.ip_or_host_name, port: Int(location.rpc_port))
      .flatMap { self.probe(through: $0, place) }
      .flatMapErrorThrowing { Self.verdict(ofConnectFailure: $0, place) }
    verdict.whenComplete { _ in self.running.withLock { $0 -= 1 } }
    return verdict.hop(to: loop)
  }

  private func begin() -> Bool {
    running.withLock { running in
      guard running < maximum else { return false }
      running += 1
      return true
    }
  }

  /// Somebody listens there: is it an engine? The address that took the connection is asked, over one of its own.
  private func probe(through channel: any Channel, _ place: String) -> EventLoopFuture<Verdict> {
    let address = channel.remoteAddress
    channel.close(promise: nil)
    guard let address, let ip = address.ipAddress, let port = address.port else {
      return channel.eventLoop.makeSucceededFuture(.alive("\(place) accepts connections"))
    }
    let client = address.protocol == .inet6 ? clients.v6 : clients.v4
    return client.probing(HostPort(host: ip, port: UInt16(clamping: port)).description)
      .map { Verdict.alive("its engine answers at \(place)") }
      .flatMapErrorThrowing { error in
        // Busy, suspended, of a version that knows no probe, or somebody else's port: not known to be dead.
        .alive("\(place) accepts connections and does not answer a probe (\(error))")
      }
  }

  private static func verdict(ofConnectFailure error: any Error, _ place: String) -> Verdict {
    switch error {
    case ChannelError.connectTimeout: return .dead("\(place) does not accept a connection in time")
    case let error as NIOConnectionError:
      // What fails here, for want of a socket for example, says nothing about the owner.
      for failure in error.connectionErrors {
        if case ChannelError.connectTimeout = failure.error { continue }
        guard let code = (failure.error as? IOError)?.errnoCode, saysNobodyIsThere.contains(code) else {
          return .alive("\(place) could not be asked (\(failure.error))")
        }
      }
      return error.connectionErrors.isEmpty
        ? .dead("\(place) has no address") : .dead("\(place) refuses connections or cannot be reached")
    default: return .alive("\(place) could not be asked (\(error))")
    }
  }

  private static let saysNobodyIsThere: Set<CInt> = [
    ECONNREFUSED, ECONNRESET, EHOSTDOWN, EHOSTUNREACH, ENETUNREACH, ETIMEDOUT,
  ]
}
