internal import NIOCore
internal import NIOPosix
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
      .flatMap { connect(to: $0[...], of: server, on: loop, deadline: deadline) }
  }

  private func connect(
    to addresses: ArraySlice<SocketAddress>, of server: HostPort, on loop: any EventLoop, deadline: NIODeadline
  ) -> EventLoopFuture<any Channel> {
    guard let address = addresses.first else {
      return loop.makeFailedFuture(
        MetadataError(.nameNotResolved, "\(server.host) has no address", advice: "check the name"))
    }
    let left = max(deadline - .now(), .milliseconds(1))
    return ClientBootstrap(group: loop)
      .connectTimeout(.nanoseconds(max(left.nanoseconds / Int64(addresses.count), 1_000_000)))
      .connect(to: address)
      .flatMapError { error in
        let others = addresses.dropFirst()
        if !others.isEmpty, NIODeadline.now() < deadline {
          return connect(to: others, of: server, on: loop, deadline: deadline)
        }
        if case ChannelError.connectTimeout = error {
          return loop.makeFailedFuture(
            MetadataError(
              .timedOut, "\(server) does not accept connections",
              advice: "see whether the host is up and a firewall or security group lets the port through"))
        }
        return loop.makeFailedFuture(
          MetadataError(
            .connectFailed, "no connection to \(server): \(error)",
            advice: "see whether the store runs and listens there"))
      }
  }
}
