#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#endif
public import Logging
public import NIOCore
internal import NIOPosix

/// Answers peers' handshakes, metadata requests, notifications and probes, all connections at once.
///
/// One request a connection. A request that is late, too long or broken closes its connection with a line in the log,
/// and costs no other connection anything.
public final class HandshakeDaemon: Sendable {
  /// The TCP port it listens on, drawn at random from the range of the options.
  public let port: UInt16

  private let listener: any Channel
  private let registry: ConnectionRegistry

  /// How often it draws a port before it gives up, the same as in the original engine.
  static let maximumDraws = 500
  /// How long closing, or binding one port, may take.
  static let closeTimeout = TimeAmount.seconds(5)

  /// Starts listening on all addresses. Blocks shortly, so not on an event loop.
  ///
  /// Throws `noPort` when no port of the range is free, `onEventLoop`, or `stopped`.
  public init(
    options: HandshakeOptions, service: any HandshakeService, group: any EventLoopGroup, logger: Logger
  ) throws(MetadataError) {
    try checkNotOnEventLoop()
    let log = LimitedLog(logger)
    // Room for one request of the largest size, and for many of the usual one.
    let registry = ConnectionRegistry(
      maximumConnections: options.maximumConnections,
      maximumBytes: max(64 << 20, 2 * min(options.maximumFrameLength, Int.max / 2)))
    let responder = HandshakeResponder(service: service)
    // On one loop, connections are admitted in the order in which they came: on several, one that has just come could be
    // taken for the oldest, and be closed for those that came before it.
    let bootstrap = ServerBootstrap(group: group.next())
      // A port whose last owner's connections still linger is free; Linux gives it to one listener only all the same.
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .serverChannelOption(.backlog, value: options.listenBacklog)
      .childChannelOption(.allowRemoteHalfClosure, value: true)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          let id: UInt64
          switch registry.admit(channel) {
          case .admitted(let admitted):
            id = admitted
          case .replacing(let admitted, let oldest):
            id = admitted
            log.warning("handshake: \(options.maximumConnections) connections are open; the oldest is closed")
            oldest.close(promise: nil)
          case .refused:
            return channel.close(promise: nil)
          }
          // Also when no handler was there to see the end.
          channel.closeFuture.whenComplete { _ in registry.remove(id) }
          try channel.pipeline.syncOperations.addHandler(
            HandshakeServerHandler(id: id, options: options, responder: responder, registry: registry, log: log))
        }
      }
    (listener, port) = try Self.bind(bootstrap, options: options)
    self.registry = registry
  }

  /// Stops listening and closes all connections. Returns when that is done, after five seconds at the latest; on an
  /// event loop it returns at once. More calls do nothing.
  public func close() {
    let connections = registry.close() + [listener]
    for channel in connections { channel.close(promise: nil) }
    let closed = EventLoopFuture.andAllComplete(connections.map(\.closeFuture), on: listener.eventLoop)
    _ = try? wait(for: closed, atMost: Self.closeTimeout)
  }

  private static func bind(
    _ bootstrap: ServerBootstrap, options: HandshakeOptions
  ) throws(MetadataError) -> (any Channel, UInt16) {
    var lastFailure = "no port was tried"
    // Distinct draws: in a small range, a repeated one would only miss the free port.
    for port in options.portRange.shuffled().prefix(maximumDraws) {
      let host = options.usesIPv6 ? "::" : "0.0.0.0"
      let attempt = bootstrap.bind(host: host, port: Int(port))
      switch try wait(for: attempt, atMost: closeTimeout) {
      case .success(let channel):
        return (channel, port)
      case .failure(let error):
        lastFailure = "port \(port): \(error)"
        guard isAboutOnePort(error) else { throw noPort(options, lastFailure) }
      case nil:
        attempt.whenSuccess { $0.close(promise: nil) }
        throw MetadataError(
          .stopped, "the handshake daemon could not bind a port within 5 s: the event loops do not run",
          advice: "start the daemon before its event loops are shut down, and keep them free of blocking work")
      }
    }
    throw noPort(options, lastFailure)
  }

  private static func isAboutOnePort(_ error: any Error) -> Bool {
    guard let code = (error as? IOError)?.errnoCode else { return false }
    return [EADDRINUSE, EACCES, EPERM].contains(code)
  }

  private static func noPort(_ options: HandshakeOptions, _ lastFailure: String) -> MetadataError {
    let range = options.portRange
    if range.count == 1 {
      return MetadataError(
        .noPort, "port \(range.lowerBound) cannot be listened on (\(lastFailure))",
        advice: "see who holds it (ss -ltnp), or choose another")
    }
    return MetadataError(
      .noPort, "no port from \(range.lowerBound) to \(range.upperBound) can be listened on (\(lastFailure))",
      advice: "set MC_MIN_RPC_PORT and MC_MAX_RPC_PORT to a free range, or see who holds the ports: ss -ltnp")
  }
}
