public import Logging
internal import Metadata
public import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import Synchronization
internal import Wire

/// Keeps the metadata of engines, for those that find each other by `http://host:port/metadata`.
///
/// The routes and replies are those of Mooncake's `mooncake_http_metadata_server`, with two differences: a name whose
/// owner is dead can be taken over, and an owner that says the same again is told that nothing changed.
public final class MetadataServer: Sendable {
  /// The port it listens on.
  public let port: UInt16
  /// Where it listens, as engines are told: `http://host:port/metadata`.
  public let address: String

  private let listener: any Channel
  private let connections: ConnectionTable
  private let store: EntryStore

  private static let bindTimeout = TimeAmount.seconds(10)

  /// Reads the file of the entries, if there is one, and starts listening. Blocks, so not on an event loop.
  public init(
    options: MetadataServerOptions, group: any EventLoopGroup, logger: Logger
  ) throws(MetadataServerError) {
    let store = try EntryStore(options, logger: logger)
    let connections = ConnectionTable(
      maximumConnections: options.maximumConnections,
      // Room for two of the longest, and for many of the usual size.
      maximumBytes: max(256 << 20, 2 * min(options.maximumValueBytes, Int.max / 2)))
    let statistics = ServerStatistics()
    let service = MetadataService(
      store: store, owners: OwnerCheck(options, group: group, logger: logger), statistics: statistics,
      connections: connections, logger: logger)
    let log = LimitedLog(logger)
    let bootstrap = ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: 1024)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelOption(.allowRemoteHalfClosure, value: true)
      .childChannelOption(.socketOption(.tcp_nodelay), value: 1)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          let (id, victim) = connections.admit(channel)
          if id == nil || victim != nil {
            statistics.refusedConnections.add(1, ordering: .relaxed)
            log.warning("metadata: \(options.maximumConnections) connections are open; one is closed")
          }
          victim?.close(promise: nil)
          guard let id else { return channel.close(promise: nil) }
          channel.closeFuture.whenComplete { _ in connections.remove(id) }
          let handler = HTTPConnection(
            id: id, options: options, service: service, connections: connections, statistics: statistics)
          try Self.configure(channel.pipeline.syncOperations, handler)
        }
      }
    do throws(MetadataServerError) {
      (listener, port) = try Self.bind(bootstrap, options)
    } catch {
      store.close()
      throw error
    }
    address = "http://\(HostPort(host: options.host, port: port))/metadata"
    self.connections = connections
    self.store = store
  }

  /// Stops listening, lets the requests that are there finish for up to `timeout`, closes the connections and the file.
  /// Blocks, so not on an event loop; to be called once.
  public func stop(timeout: Duration = .seconds(5)) {
    listener.close(promise: nil)
    let channels = connections.close()
    for channel in channels { channel.pipeline.fireUserInboundEventTriggered(ServerIsStopping()) }
    let closed = EventLoopFuture.andAllComplete(
      (channels + [listener]).map(\.closeFuture), on: listener.eventLoop)
    if case .some(.some) = try? wait(for: closed, atMost: timeout.timeAmount) {
      store.close()
      return
    }
    for channel in channels { channel.close(promise: nil) }
    _ = try? wait(for: closed, atMost: .seconds(1))
    store.close()
  }

  private static func configure(
    _ pipeline: ChannelPipeline.SynchronousOperations, _ handler: HTTPConnection
  ) throws {
    var limits = NIOHTTPDecoderLimitConfiguration()
    limits.maxHeaderFieldSize = 16384
    limits.maxHeaderListSize = 65536
    limits.maxHeaderFieldCount = 128
    try pipeline.addHandlers([
      HTTPResponseEncoder(),
      ByteToMessageHandler(
        HTTPRequestDecoder(
          leftOverBytesStrategy: .dropBytes, informationalResponseStrategy: .drop, limitConfiguration: limits)),
      handler,
    ])
  }

  private static func bind(
    _ bootstrap: ServerBootstrap, _ options: MetadataServerOptions
  ) throws(MetadataServerError) -> (any Channel, UInt16) {
    let place = HostPort(host: options.host, port: options.port)
    let attempt = bootstrap.bind(host: options.host, port: Int(options.port))
    let result: Result<any Channel, any Error>?
    do throws(MetadataError) {
      result = try wait(for: attempt, atMost: bindTimeout)
    } catch {
      throw MetadataServerError(.onEventLoop, error.message, advice: error.advice)
    }
    switch result {
    case .success(let channel):
      return (channel, UInt16(clamping: channel.localAddress?.port ?? Int(options.port)))
    case .failure(let error):
      throw MetadataServerError(
        .cannotListen, "\(place) cannot be listened on: \(error)",
        advice: "give --host an address of this host and --port a free port; ss -ltnp shows who has it")
    case nil:
      attempt.whenSuccess { $0.close(promise: nil) }
      throw MetadataServerError(
        .cannotListen, "\(place) could not be listened on within 10 s",
        advice: "see whether the name of --host can be looked up")
    }
  }
}
