internal import NIOCore
internal import Wire

/// One connection to the daemon: a request, its reply, then the client's turn to close.
final class HandshakeServerHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  private enum State {
    case awaitingRequest
    case replying
    /// The reply is out; closing first would make the kernel discard what the client has not read.
    case awaitingClose
    case closed
  }

  private let id: UInt64
  private let options: HandshakeOptions
  private let responder: HandshakeResponder
  private let registry: ConnectionRegistry
  private let log: LimitedLog
  private var decoder: HandshakeFrameDecoder
  private var state = State.awaitingRequest
  private var deadline: Scheduled<Void>?
  private var heldBytes = 0
  private var inputIsClosed = false

  init(
    id: UInt64, options: HandshakeOptions, responder: HandshakeResponder, registry: ConnectionRegistry, log: LimitedLog
  ) {
    self.id = id
    self.options = options
    self.responder = responder
    self.registry = registry
    self.log = log
    decoder = HandshakeFrameDecoder(maximumLength: options.maximumFrameLength)
  }

  func handlerAdded(context: ChannelHandlerContext) {
    expect(within: options.requestTimeout, context: context)
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    state = .closed
    deadline?.cancel()
    _ = registry.hold(-heldBytes)
    heldBytes = 0
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    // One request a connection: what follows it is read, so that the client's close is seen, and dropped.
    guard case .awaitingRequest = state else { return }
    decoder.push(unwrapInboundIn(data).readableBytesView)
    do {
      guard let frame = try decoder.next() else {
        return account(context: context)
      }
      account(context: context)
      guard case .awaitingRequest = state else { return }
      try answer(frame, context: context)
    } catch {
      reject("\(error)", context: context)
    }
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    guard case .some(.inputClosed) = event as? ChannelEvent else { return context.fireUserInboundEventTriggered(event) }
    inputIsClosed = true
    switch state {
    case .awaitingRequest:
      reject("closed before a whole request was there", context: context)
    case .awaitingClose:
      close(context: context)
    case .replying, .closed:
      break
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    // Clients reset connections when they have what they want.
    log.debug("handshake connection from \(peer(context)): \(error)")
    close(context: context)
  }

  private func answer(_ frame: HandshakeFrame, context: ChannelHandlerContext) throws(WireError) {
    state = .replying
    registry.requestArrived(id)
    let (reply, complaint) = try responder.reply(to: frame)
    if let complaint { log.warning("handshake request from \(peer(context)) was refused: \(complaint)") }
    expect(within: options.replyTimeout, context: context)
    let written = context.eventLoop.makePromise(of: Void.self)
    written.futureResult.assumeIsolated().whenSuccess { self.replied(context: context) }
    context.writeAndFlush(wrapOutboundOut(context.channel.allocator.buffer(bytes: reply.encoded())), promise: written)
  }

  private func replied(context: ChannelHandlerContext) {
    guard case .replying = state else { return }
    guard !inputIsClosed else { return close(context: context) }
    state = .awaitingClose
    expect(within: options.requestTimeout, context: context)
    context.close(mode: .output, promise: nil)
  }

  /// Keeps the bytes that all connections hold within their bound.
  private func account(context: ChannelHandlerContext) {
    let change = decoder.pendingByteCount - heldBytes
    heldBytes += change
    if !registry.hold(change), change > 0 {
      reject("requests that are not whole yet hold more than \(registry.maximumBytes) bytes", context: context)
    }
  }

  private func expect(within limit: Duration, context: ChannelHandlerContext) {
    deadline?.cancel()
    deadline = context.eventLoop.assumeIsolated().scheduleTask(in: limit.timeAmount) {
      self.deadlinePassed(context: context)
    }
  }

  private func deadlinePassed(context: ChannelHandlerContext) {
    switch state {
    case .awaitingRequest:
      reject("no whole request within \(options.requestTimeout)", context: context)
    case .replying:
      reject("the reply was not taken within \(options.replyTimeout)", context: context)
    case .awaitingClose, .closed:
      close(context: context)
    }
  }

  private func reject(_ reason: String, context: ChannelHandlerContext) {
    log.warning("handshake connection from \(peer(context)) is closed: \(reason)")
    close(context: context)
  }

  private func close(context: ChannelHandlerContext) {
    state = .closed
    context.close(promise: nil)
  }

  private func peer(_ context: ChannelHandlerContext) -> String {
    context.remoteAddress.map { "\($0)" } ?? "an unknown address"
  }
}
