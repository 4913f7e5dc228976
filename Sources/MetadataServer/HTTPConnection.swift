internal import Metadata
internal import NIOCore
internal import NIOHTTP1

/// Tells a connection to finish what it is doing and close.
struct ServerIsStopping: Sendable {}

/// One connection: requests one after the other, each with its reply before the next is looked at.
final class HTTPConnection: ChannelDuplexHandler {
  typealias InboundIn = HTTPServerRequestPart
  typealias OutboundIn = HTTPServerResponsePart
  typealias OutboundOut = HTTPServerResponsePart

  private enum State {
    case idle
    case receiving(HTTPRequestHead)
    case answering
    /// The last reply is out; closing now would make the kernel discard what the client has not read.
    case draining
    case closed
  }

  private let id: UInt64
  private let options: MetadataServerOptions
  private let service: MetadataService
  private let connections: ConnectionTable
  private let statistics: ServerStatistics
  private var state = State.idle
  /// Parts that came while a reply was owed. Bounded by one read: there are no more until the reply is out.
  private var waiting = CircularBuffer<HTTPServerRequestPart>()
  private var isPumping = false
  private var readIsHeld = false
  private var body = ByteBuffer()
  private var heldBytes = 0
  private var parserError: HTTPParserError?
  private var inputIsClosed = false
  private var isStopping = false
  private var deadline: Scheduled<Void>?

  init(
    id: UInt64, options: MetadataServerOptions, service: MetadataService, connections: ConnectionTable,
    statistics: ServerStatistics
  ) {
    self.id = id
    self.options = options
    self.service = service
    self.connections = connections
    self.statistics = statistics
  }

  func handlerAdded(context: ChannelHandlerContext) { expect(within: options.idleTimeout, context: context) }

  func handlerRemoved(context: ChannelHandlerContext) {
    state = .closed
    deadline?.cancel()
    waiting.removeAll()
    release()
  }

  // MARK: Requests

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    waiting.append(unwrapInboundIn(data))
    pump(context: context)
  }

  /// Reads nothing while a reply is owed: a client that only sends must not fill our memory.
  func read(context: ChannelHandlerContext) {
    if case .answering = state {
      readIsHeld = true
    } else {
      context.read()
    }
  }

  /// Takes the parts that are there, until one needs a reply that is not there yet.
  private func pump(context: ChannelHandlerContext) {
    // A reply that is there at once comes back here; the loop below goes on with it.
    guard !isPumping else { return }
    isPumping = true
    defer { isPumping = false }
    while !isAnswering, let part = waiting.popFirst() { take(part, context: context) }
    guard !isAnswering else { return }
    switch state {
    case .idle, .receiving:
      if let parserError {
        refuse(Self.answer(to: parserError), nil, context: context)
      } else if inputIsClosed || (isStopping && isIdle) {
        close(context: context)
      }
    case .draining:
      if inputIsClosed { close(context: context) }
    case .answering, .closed:
      break
    }
    if readIsHeld {
      readIsHeld = false
      context.read()
    }
  }

  private var isAnswering: Bool { if case .answering = state { true } else { false } }
  private var isIdle: Bool { if case .idle = state { true } else { false } }

  private func take(_ part: HTTPServerRequestPart, context: ChannelHandlerContext) {
    switch (part, state) {
    case (.head(let head), .idle): begin(head, context: context)
    case (.body(let bytes), .receiving(let head)): append(bytes, head, context: context)
    case (.end, .receiving(let head)): answer(head, context: context)
    default: break  // The rest of a request that has been refused.
    }
  }

  private func begin(_ head: HTTPRequestHead, context: ChannelHandlerContext) {
    connections.setIdle(id, false)
    state = .receiving(head)
    expect(within: options.requestTimeout, context: context)
    if let length = head.headers.first(name: "content-length").flatMap({ Int($0) }), length > options.maximumValueBytes
    {
      return refuse(tooLarge, head, context: context)
    }
    if head.headers[canonicalForm: "expect"].contains(where: { $0.lowercased() == "100-continue" }) {
      context.writeAndFlush(
        wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: .continue))), promise: nil)
    }
  }

  private var tooLarge: Answer {
    .text(.payloadTooLarge, "Maximum request body size \(options.maximumValueBytes) exceeded; raise --max-value-bytes.")
  }

  private func append(_ bytes: ByteBuffer, _ head: HTTPRequestHead, context: ChannelHandlerContext) {
    guard body.readableBytes + bytes.readableBytes <= options.maximumValueBytes else {
      return refuse(tooLarge, head, context: context)
    }
    heldBytes += bytes.readableBytes
    guard connections.hold(bytes.readableBytes) else {
      return refuse(.text(.serviceUnavailable, "too many requests at once; try again"), head, context: context)
    }
    body.writeImmutableBuffer(bytes)
  }

  private func answer(_ head: HTTPRequestHead, context: ChannelHandlerContext) {
    state = .answering
    deadline?.cancel()
    // A copy of just its size: what it was gathered in may be twice as long, and may be kept for days.
    let value = ByteBuffer(bytes: body.readableBytesView)
    let answer = service.answer(head.method, head.uri, value, on: context.eventLoop)
    answer.assumeIsolated().whenComplete { result in
      switch result {
      case .success(let answer): self.reply(answer, head, closes: !head.isKeepAlive, context: context)
      case .failure: self.reply(.text(.internalServerError, "internal error"), head, closes: true, context: context)
      }
    }
  }

  // MARK: Replies

  /// Replies without regard to the rest of the request, which is read and dropped.
  private func refuse(_ answer: Answer, _ head: HTTPRequestHead?, context: ChannelHandlerContext) {
    connections.setIdle(id, false)
    state = .answering
    waiting.removeAll()
    parserError = nil
    reply(answer, head, closes: true, context: context)
  }

  private func reply(_ answer: Answer, _ request: HTTPRequestHead?, closes: Bool, context: ChannelHandlerContext) {
    guard isAnswering else { return }
    statistics.count(request?.method, answer.status)
    release()
    let closes = closes || isStopping
    var headers = HTTPHeaders([
      ("Content-Type", answer.contentType), ("Content-Length", "\(answer.body.readableBytes)"),
    ])
    if let allowed = answer.allowed { headers.add(name: "Allow", value: allowed) }
    if closes {
      headers.add(name: "Connection", value: "close")
    } else if let request, request.version == .http1_0 {
      headers.add(name: "Connection", value: "keep-alive")
    }
    expect(within: options.requestTimeout, context: context)
    let head = HTTPResponseHead(version: .http1_1, status: answer.status, headers: headers)
    context.write(wrapOutboundOut(.head(head)), promise: nil)
    if request?.method != .HEAD { context.write(wrapOutboundOut(.body(.byteBuffer(answer.body))), promise: nil) }
    let written = context.eventLoop.makePromise(of: Void.self)
    written.futureResult.assumeIsolated().whenSuccess { self.replied(closes: closes, context: context) }
    context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: written)
  }

  private func replied(closes: Bool, context: ChannelHandlerContext) {
    guard isAnswering else { return }
    if closes {
      state = .draining
      waiting.removeAll()
      expect(within: options.lingerTimeout, context: context)
      context.close(mode: .output, promise: nil)
    } else {
      state = .idle
      connections.setIdle(id, true)
      expect(within: options.idleTimeout, context: context)
    }
    pump(context: context)
  }

  private func release() {
    body = ByteBuffer()
    _ = connections.hold(-heldBytes)
    heldBytes = 0
  }

  // MARK: Ends

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    switch event {
    case ChannelEvent.inputClosed:
      inputIsClosed = true
      pump(context: context)
    case is ServerIsStopping:
      isStopping = true
      pump(context: context)
    default:
      context.fireUserInboundEventTriggered(event)
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    guard let error = error as? HTTPParserError else { return close(context: context) }
    parserError = error
    pump(context: context)
  }

  private static func answer(to error: HTTPParserError) -> Answer {
    switch error {
    case .headerOverflow: .text(.requestHeaderFieldsTooLarge, "the head of the request is too long")
    default: .text(.badRequest, "this is no HTTP request that can be read")
    }
  }

  private func expect(within limit: Duration, context: ChannelHandlerContext) {
    deadline?.cancel()
    deadline = context.eventLoop.assumeIsolated().scheduleTask(in: limit.timeAmount) {
      self.deadlinePassed(context: context)
    }
  }

  private func deadlinePassed(context: ChannelHandlerContext) {
    guard case .receiving(let head) = state else { return close(context: context) }
    refuse(.text(.requestTimeout, "the body did not come in time"), head, context: context)
  }

  private func close(context: ChannelHandlerContext) {
    state = .closed
    context.close(promise: nil)
  }
}
