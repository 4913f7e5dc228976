public import Logging
public import NIOCore
internal import NIOPosix
public import Wire

/// Asks peers by name, `host:port`: connects NICs, fetches descriptors, delivers notifications, probes.
///
/// Every call has a blocking form, and one that returns a future. Blocking forms must not be called on an event loop;
/// they throw `onEventLoop` there. Every call ends within the connect timeout and the reply timeout together, and what
/// finding the peer in a store takes, with the result or a `MetadataError`; futures fail with nothing else. A request
/// that was sent is never sent again.
public final class HandshakeClient: Sendable {
  private let options: HandshakeOptions
  private let group: any EventLoopGroup
  private let logger: Logger
  private let resolver: HandshakeResolver
  private let locator: (any PeerLocator)?

  /// A client whose connections live on the given event loops.
  ///
  /// - Parameter locator: Knows where the peer of a name is; nil where the name says so.
  public init(
    options: HandshakeOptions, group: any EventLoopGroup, logger: Logger, locator: (any PeerLocator)? = nil
  ) {
    self.options = options
    self.group = group
    self.logger = logger
    self.locator = locator
    resolver = HandshakeResolver(family: options.usesIPv6 ? .ipv6 : .ipv4)
  }

  // MARK: Blocking

  /// Exchanges NIC addresses. Throws `rejected` with the peer's reason, `notReady` while the peer has no transport,
  /// `malformedReply`, or what `probe(_:)` throws.
  public func connect(_ message: ConnectionMessage, to server: String) throws(MetadataError) -> ConnectionMessage {
    try result(server) { connecting(message, to: server) }
  }

  /// Fetches a descriptor. Throws `notReady` while the peer has none, `invalidDescriptor`, `malformedReply`, or what
  /// `probe(_:)` throws.
  ///
  /// - Parameter request: What the peer is told of the engine that asks.
  public func segmentDescriptor(
    of server: String, as request: DescriptorRequest = DescriptorRequest()
  ) throws(MetadataError) -> SegmentDescriptor {
    try result(server) { fetchingSegmentDescriptor(of: server, as: request) }
  }

  /// Delivers a notification. Throws `rejected` when the peer does not take it, `malformedReply`, or what `probe(_:)`
  /// throws.
  public func notify(_ message: NotifyMessage, server: String) throws(MetadataError) {
    try result(server) { notifying(message, server: server) }
  }

  /// Asks whether the peer answers. Throws `nameNotResolved`, `connectFailed`, `timedOut`, `closedWithoutReply`,
  /// `unexpectedReply`, `malformedReply`, `onEventLoop` or `stopped`.
  public func probe(_ server: String) throws(MetadataError) {
    try result(server) { probing(server) }
  }

  // MARK: Futures

  /// `connect(_:to:)` without blocking.
  public func connecting(_ message: ConnectionMessage, to server: String) -> EventLoopFuture<ConnectionMessage> {
    exchange(.connection, body: message.encoded(), with: server) { body throws(MetadataError) in
      guard !isNullJSON(body) else { throw Self.notReady(server) }
      let reply = try Self.read(server) { () throws(WireError) in try ConnectionMessage(decoding: body) }
      guard reply.replyMessage.isEmpty else {
        throw MetadataError(
          .rejected, "\(server) refuses to connect: \(Self.printable(reply.replyMessage))",
          advice: "see the peer's log; if it was restarted or changed its NICs, open the segment again")
      }
      return reply
    }
  }

  /// `segmentDescriptor(of:as:)` without blocking.
  public func fetchingSegmentDescriptor(
    of server: String, as request: DescriptorRequest = DescriptorRequest()
  ) -> EventLoopFuture<SegmentDescriptor> {
    // The own descriptor, which others send, may exceed the peer's limit.
    exchange(.metadata, body: request.encoded(), with: server) { body throws(MetadataError) in body }
      .flatMapWithEventLoop { body, loop in
        // Ten thousand buffers on 32 NICs take a second to read, for which an event loop must not be kept.
        guard body.count > Self.largestBodyReadOnEventLoop else {
          return loop.makeCompletedFuture { try Self.readDescriptor(body, server: server) }
        }
        return NIOThreadPool.singleton.runIfActive(eventLoop: loop) { try Self.readDescriptor(body, server: server) }
      }
      .flatMapErrorThrowing { throw Self.asMetadataError($0, server: server) }
  }

  /// About ten milliseconds' worth of numbers.
  private static let largestBodyReadOnEventLoop = 65536

  private static func readDescriptor(_ body: [UInt8], server: String) throws(MetadataError) -> SegmentDescriptor {
    guard !isNullJSON(body) else { throw notReady(server) }
    return try read(server) { () throws(WireError) in try SegmentDescriptor(decoding: body) }
  }

  /// `notify(_:server:)` without blocking.
  public func notifying(_ message: NotifyMessage, server: String) -> EventLoopFuture<Void> {
    exchange(.notify, body: message.encoded(), with: server) { body throws(MetadataError) in
      let reply = try Self.read(server) { () throws(WireError) in try NotifyMessage(decoding: body) }
      guard !reply.message.isEmpty else {
        throw MetadataError(
          .rejected, "\(server) does not take the notification",
          advice: "see the peer's log; its queue may be full")
      }
    }
  }

  /// `probe(_:)` without blocking.
  public func probing(_ server: String) -> EventLoopFuture<Void> {
    exchange(.probe, body: Array("{}".utf8), with: server) { body throws(MetadataError) in
      // Any answer shows that the peer lives; what it says is not looked at.
      _ = try Self.read(server) { () throws(WireError) in try ProbeReply(decoding: body) }
    }
  }

  // MARK: One exchange

  private func exchange<Reply: Sendable>(
    _ type: HandshakeMessageType, body: [UInt8], with server: String,
    read: @escaping @Sendable ([UInt8]) throws(MetadataError) -> Reply
  ) -> EventLoopFuture<Reply> {
    let loop = group.next()
    let request = HandshakeFrame(type: type, body: body)
    return channel(to: server, on: loop).flatMap { channel in
      self.send(request, on: channel, server: server)
    }.flatMapThrowing { reply in
      try read(reply.body)
    }.flatMapErrorThrowing { error in
      // Whatever it is, it may come from another than the peer, on a port that was the peer's.
      self.locator?.forget(server)
      throw Self.asMetadataError(error, server: server)
    }
  }

  private func channel(to server: String, on loop: any EventLoop) -> EventLoopFuture<any Channel> {
    guard let locator else {
      let (location, warning) = HostPort.parse(server)
      if let warning { logger.warning("\(warning)") }
      return channel(at: location, server: server, on: loop)
    }
    return locator.location(of: server, fresh: false, on: loop).flatMap { known in
      self.channel(at: known, server: server, on: loop).flatMapError { error in
        // A peer that was restarted is somewhere else.
        locator.location(of: server, fresh: true, on: loop).flatMap { current in
          if current == known { return loop.makeFailedFuture(error) }
          return self.channel(at: current, server: server, on: loop)
        }
      }
    }
  }

  private func channel(at location: HostPort, server: String, on loop: any EventLoop) -> EventLoopFuture<any Channel> {
    let deadline = NIODeadline.now() + options.connectTimeout.timeAmount
    return resolver.addresses(
      of: location.host, port: location.port ?? options.defaultPort, on: loop, deadline: deadline
    ).flatMap { addresses in
      Dialer.connect(to: addresses[...], on: loop, deadline: deadline) { self.failure($0, of: server) }
    }
  }

  private func failure(_ refusal: Dialer.Refusal, of server: String) -> MetadataError {
    switch refusal {
    case .noAddress: Self.stopped(server, "no address")
    case .silence(let address):
      MetadataError(
        .timedOut, "\(server) (\(address)) did not accept a connection within \(options.connectTimeout)",
        advice: "see whether the host is up and a firewall or security group lets its ports through")
    case .error(let error, let address):
      MetadataError(
        .connectFailed, "no connection to \(server) (\(address)): \(error)",
        advice: "see whether the peer runs and whether the name has its present port, which changes with each start")
    }
  }

  private func send(
    _ request: HandshakeFrame, on channel: any Channel, server: String
  ) -> EventLoopFuture<HandshakeFrame> {
    let promise = channel.eventLoop.makePromise(of: HandshakeFrame.self)
    let peer = channel.remoteAddress.map { "\(server) (\($0))" } ?? server
    let handler = HandshakeExchange(
      request, peer: peer, timeout: options.replyTimeout, maximumLength: options.maximumFrameLength, promise: promise)
    do {
      try channel.pipeline.syncOperations.addHandler(handler)
    } catch {
      promise.fail(Self.stopped(server, "\(error)"))
      channel.close(promise: nil)
    }
    return promise.futureResult
  }

  // MARK: Results and errors

  private func result<Reply: Sendable>(
    _ server: String, _ start: () -> EventLoopFuture<Reply>
  ) throws(MetadataError) -> Reply {
    try checkNotOnEventLoop()
    // The future has deadlines of its own; this one is for event loops that stopped, and comes later. Where the peer has
    // to be found first, that is done and connected to twice at most.
    let finding = locator.map { $0.timeout * 2 + options.connectTimeout } ?? .zero
    let limit = (finding + options.connectTimeout + options.replyTimeout).timeAmount + .seconds(2)
    switch try wait(for: start(), atMost: limit) {
    case .success(let reply): return reply
    case .failure(let error): throw Self.asMetadataError(error, server: server)
    case nil: throw Self.stopped(server, "no result within \(options.connectTimeout + options.replyTimeout)")
    }
  }

  private static func read<Value>(
    _ server: String, _ decode: () throws(WireError) -> Value
  ) throws(MetadataError) -> Value {
    do {
      return try decode()
    } catch {
      let ofDescriptor: Set<WireError.Code> = [.missingValue, .keyCount, .unknownProtocol]
      throw MetadataError(
        ofDescriptor.contains(error.code) ? .invalidDescriptor : .malformedReply,
        "\(server) sent a broken reply: \(error.message)", advice: error.advice)
    }
  }

  private static func asMetadataError(_ error: any Error, server: String) -> MetadataError {
    (error as? MetadataError) ?? stopped(server, "\(error)")
  }

  private static func notReady(_ server: String) -> MetadataError {
    MetadataError(
      .notReady, "\(server) runs and has no transport yet", advice: "try again when the peer has finished starting")
  }

  private static func stopped(_ server: String, _ reason: String) -> MetadataError {
    MetadataError(
      .stopped, "the request to \(server) was not carried out: \(reason)",
      advice: "make the call before the event loops are shut down, and keep them free of blocking work")
  }

  /// A peer's text for an error message: of bounded length, without control characters.
  private static func printable(_ text: String) -> String {
    var shown = String.UnicodeScalarView()
    shown.append(contentsOf: text.unicodeScalars.prefix(512).filter { $0.properties.generalCategory != .control })
    return String(shown)
  }
}
