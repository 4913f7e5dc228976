internal import NIOCore
internal import Wire

/// One request on one connection: sends it, waits for the reply, closes.
final class HandshakeExchange: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private let request: HandshakeFrame
  private let peer: String
  private let timeout: Duration
  private var decoder: HandshakeFrameDecoder
  private var promise: EventLoopPromise<HandshakeFrame>?
  private var timer: Scheduled<Void>?

  /// `peer` is how error messages call the other side.
  init(
    _ request: HandshakeFrame, peer: String, timeout: Duration, maximumLength: Int,
    promise: EventLoopPromise<HandshakeFrame>
  ) {
    self.request = request
    self.peer = peer
    self.timeout = timeout
    self.promise = promise
    decoder = HandshakeFrameDecoder(maximumLength: maximumLength)
  }

  func handlerAdded(context: ChannelHandlerContext) {
    timer = context.eventLoop.assumeIsolated().scheduleTask(in: timeout.timeAmount) {
      self.fail(
        .timedOut, "\(self.peer) did not answer within \(self.timeout)",
        advice:
          "see whether the peer is alive and not stuck; a peer of the original engine serves one request at a time",
        context: context)
    }
    context.writeAndFlush(
      wrapOutboundOut(context.channel.allocator.buffer(bytes: request.encoded())), promise: nil)
  }

  func handlerRemoved(context: ChannelHandlerContext) { failClosed(context: context) }

  func channelInactive(context: ChannelHandlerContext) { failClosed(context: context) }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    decoder.push(unwrapInboundIn(data).readableBytesView)
    do {
      guard let reply = try decoder.next() else { return }
      guard reply.type == request.type else {
        return fail(
          .unexpectedReply, "\(peer) answered with a message of another type",
          advice: "the port belongs to something else, or the peer is of another version", context: context)
      }
      finish(.success(reply), context: context)
    } catch {
      fail(
        .unexpectedReply, "\(peer) sent no handshake reply: \(error.message)", advice: error.advice, context: context)
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    fail(
      .closedWithoutReply, "the connection to \(peer) broke before the reply was there: \(error)",
      advice: "see the peer's log; it may have refused the request as too long or broken", context: context)
  }

  private func failClosed(context: ChannelHandlerContext) {
    fail(
      .closedWithoutReply, "\(peer) closed the connection before the reply was there",
      advice: "see the peer's log; it may have refused the request as too long or broken", context: context)
  }

  private func fail(_ code: MetadataError.Code, _ message: String, advice: String, context: ChannelHandlerContext) {
    finish(.failure(MetadataError(code, message, advice: advice)), context: context)
  }

  private func finish(_ result: Result<HandshakeFrame, MetadataError>, context: ChannelHandlerContext) {
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
