internal import NIOCore
internal import Wire

/// Opens connections to a store's servers.
struct StoreConnector: Sendable {
  let group: any EventLoopGroup
  /// A store may be reached over whatever address its name has.
  private let resolver = HandshakeResolver(family: .any)

  init(group: any EventLoopGroup) { self.group = group }

  /// Connects to the first of the server's addresses that answers.
  func connect(to server: HostPort, on loop: any EventLoop, deadline: NIODeadline) -> EventLoopFuture<any Channel> {
    resolver.addresses(of: server.host, port: server.port ?? 0, on: loop, deadline: deadline)
      .flatMap { addresses in
        Dialer.connect(to: addresses[...], on: loop, deadline: deadline) { Self.failure($0, of: server) }
      }
  }

  private static func failure(_ refusal: Dialer.Refusal, of server: HostPort) -> MetadataError {
    switch refusal {
    case .noAddress: MetadataError(.nameNotResolved, "\(server.host) has no address", advice: "check the name")
    case .silence:
      MetadataError(
        .timedOut, "\(server) does not accept connections",
        advice: "see whether the host is up and a firewall or security group lets the port through")
    case .error(let error, _):
      MetadataError(
        .connectFailed, "no connection to \(server): \(error)", advice: "see whether the store runs and listens there")
    }
  }
}
