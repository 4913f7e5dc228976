internal import NIOCore
internal import Wire

/// One connection to Redis: commands go out at once, replies come back in the same order.
///
/// `@unchecked Sendable`: everything happens on the event loop of its channel.
final class RedisConnection: ChannelInboundHandler, @unchecked Sendable {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer

  /// Commands without their reply, above which more are refused.
  static let maximumPending = 1024

  private struct Pending {
    let promise: EventLoopPromise<RESPValue>
    let timer: Scheduled<Void>
  }

  private let channel: any Channel
  private let server: HostPort
  private var decoder = RESPDecoder()
  private var pending = CircularBuffer<Pending>()
  /// Why there will be no more replies.
  private var failure: MetadataError?

  /// On the channel's event loop.
  init(_ channel: any Channel, server: HostPort) throws {
    self.channel = channel
    self.server = server
    try channel.pipeline.syncOperations.addHandler(self)
  }

  /// Sends a command. The future fails with a `MetadataError`; a reply that is an error is a reply.
  func send(_ words: [[UInt8]], deadline: NIODeadline) -> EventLoopFuture<RESPValue> {
    channel.eventLoop.flatSubmit { self.sendOnLoop(words, deadline: deadline) }
  }

  private func sendOnLoop(_ words: [[UInt8]], deadline: NIODeadline) -> EventLoopFuture<RESPValue> {
    let loop = channel.eventLoop
    if let failure { return loop.makeFailedFuture(failure) }
    guard pending.count < Self.maximumPending else {
      return loop.makeFailedFuture(
        MetadataError(
          .storeUnavailable, "\(server) owes the replies to \(pending.count) commands",
          advice: "see whether Redis is alive and not overloaded"))
    }
    let promise = loop.makePromise(of: RESPValue.self)
    let timer = loop.assumeIsolated().scheduleTask(deadline: deadline) {
      // Whatever comes now cannot be told from the reply to the next command.
      self.fail(
        .timedOut, "\(self.server) accepts connections and does not answer in time",
        advice: "see whether Redis is alive and not overloaded")
    }
    pending.append(Pending(promise: promise, timer: timer))
    channel.writeAndFlush(channel.allocator.buffer(bytes: RESPValue.command(words)), promise: nil)
    return promise.futureResult
  }

  func close() { channel.close(promise: nil) }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    decoder.push(unwrapInboundIn(data).readableBytesView)
    do {
      while failure == nil, let value = try decoder.next() {
        guard let first = pending.popFirst() else { throw RESPError(reason: "a reply that nobody asked for") }
        first.timer.cancel()
        first.promise.succeed(value)
      }
    } catch {
      fail(
        .unexpectedReply, "\(server) does not speak Redis's protocol: \((error as? RESPError)?.reason ?? "\(error)")",
        advice: "check that the address is that of a Redis server")
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    fail(.closedWithoutReply, "\(server) closed the connection", advice: "see Redis's log")
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    fail(.closedWithoutReply, "the connection to \(server) broke: \(error)", advice: "see Redis's log")
  }

  private func fail(_ code: MetadataError.Code, _ message: String, advice: String) {
    guard failure == nil else { return }
    let error = MetadataError(code, message, advice: advice)
    failure = error
    channel.close(promise: nil)
    let failed = pending
    pending.removeAll()
    for entry in failed {
      entry.timer.cancel()
      entry.promise.fail(error)
    }
  }
}
