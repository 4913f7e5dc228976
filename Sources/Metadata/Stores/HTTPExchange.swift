internal import NIOCore
internal import NIOHTTP1
internal import Wire

/// A reply: its status and its whole body.
struct HTTPReply: Sendable {
  var status: Int
  var body: [UInt8]
}

/// What to ask of an HTTP server.
struct HTTPRequest: Sendable {
  var method: HTTPMethod
  /// The path with its query.
  var target: String
  /// The `Host` header.
  var authority: String
  var body: [UInt8]?
}

/// One request on one connection: sends it, waits for the reply, closes.
///
/// Connections are not kept: an engine talks to its store when it starts, registers memory or meets a new peer, and a
/// connection that may have died in between would cost more than it saves.
final class HTTPExchange: ChannelInboundHandler {
  typealias InboundIn = HTTPClientResponsePart
  typealias OutboundOut = HTTPClientRequestPart

  private let request: HTTPRequest
  private let server: HostPort
  private let deadline: NIODeadline
  private var promise: EventLoopPromise<HTTPReply>?
  private var reply = HTTPReply(status: 0, body: [])
  private var timer: Scheduled<Void>?

  private init(_ request: HTTPRequest, server: HostPort, deadline: NIODeadline, promise: EventLoopPromise<HTTPReply>) {
    self.request = request
    self.server = server
    self.deadline = deadline
    self.promise = promise
  }

  /// Sends `request` on a new connection.
  static func run(
    _ request: HTTPRequest, to server: HostPort, by connector: StoreConnector, connectBy: NIODeadline,
    deadline: NIODeadline
  ) -> EventLoopFuture<HTTPReply> {
    let loop = connector.group.next()
    return connector.connect(to: server, on: loop, deadline: connectBy).flatMap { channel in
      let promise = loop.makePromise(of: HTTPReply.self)
      do {
        try channel.pipeline.syncOperations.addHTTPClientHandlers()
        try channel.pipeline.syncOperations.addHandler(
          HTTPExchange(request, server: server, deadline: deadline, promise: promise))
      } catch {
        channel.close(promise: nil)
        promise.fail(
          MetadataError(
            .closedWithoutReply, "\(server) closed the connection at once: \(error)", advice: "see the store's log"))
      }
      return promise.futureResult
    }
  }

  func handlerAdded(context: ChannelHandlerContext) {
    timer = context.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) {
      self.fail(
        .timedOut, "\(self.server) accepts connections and does not answer in time",
        advice: "see whether the store is alive and not overloaded", context: context)
    }
    var head = HTTPRequestHead(version: .http1_1, method: request.method, uri: request.target)
    head.headers.add(name: "Host", value: request.authority)
    head.headers.add(name: "Accept", value: "*/*")
    if let body = request.body {
      head.headers.add(name: "Content-Type", value: "application/json")
      head.headers.add(name: "Content-Length", value: String(body.count))
    }
    context.write(wrapOutboundOut(.head(head)), promise: nil)
    if let body = request.body {
      context.write(wrapOutboundOut(.body(.byteBuffer(context.channel.allocator.buffer(bytes: body)))), promise: nil)
    }
    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
  }

  func handlerRemoved(context: ChannelHandlerContext) { failClosed(context) }

  func channelInactive(context: ChannelHandlerContext) { failClosed(context) }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head):
      reply.status = Int(head.status.code)
    case .body(let part):
      guard reply.body.count + part.readableBytes <= StoreLimits.maximumValueLength else {
        return fail(
          .unexpectedReply, "\(server) sends more than \(StoreLimits.maximumValueLength) bytes",
          advice: "check that the address is that of a metadata store", context: context)
      }
      reply.body.append(contentsOf: part.readableBytesView)
    case .end:
      finish(.success(reply), context: context)
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    if error is HTTPParserError {
      fail(
        .unexpectedReply, "\(server) does not speak HTTP: \(error)",
        advice: "check that the address is that of a metadata store", context: context)
    } else {
      fail(
        .closedWithoutReply, "the connection to \(server) broke before the reply was there: \(error)",
        advice: "see the store's log", context: context)
    }
  }

  private func failClosed(_ context: ChannelHandlerContext) {
    fail(
      .closedWithoutReply, "\(server) closed the connection before the reply was there",
      advice: "see the store's log", context: context)
  }

  private func fail(_ code: MetadataError.Code, _ message: String, advice: String, context: ChannelHandlerContext) {
    finish(.failure(MetadataError(code, message, advice: advice)), context: context)
  }

  private func finish(_ result: Result<HTTPReply, MetadataError>, context: ChannelHandlerContext) {
    guard let promise else { return }
    self.promise = nil
    timer?.cancel()
    context.close(promise: nil)
    switch result {
    case .success(let reply): promise.succeed(reply)
    case .failure(let error): promise.fail(error)
    }
  }
}
