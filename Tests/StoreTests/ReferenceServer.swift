import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// The HTTP metadata server that users of the original engine run, in what it answers.
final class ReferenceServer: Sendable {
  private struct State {
    var values: [String: [UInt8]] = [:]
    var log: [String] = []
    var status: HTTPResponseStatus?
    var statusCount = 0
  }

  private let state = Mutex(State())
  private let channel: Mutex<(any Channel)?>
  let port: Int

  var source: String { "http://127.0.0.1:\(port)/metadata" }
  /// What was asked, as `METHOD key`.
  var log: [String] { state.withLock { $0.log } }
  /// The target of the last request, as it came.
  let lastTarget = Mutex("")
  let lastHeaders = Mutex(HTTPHeaders())

  init() throws {
    channel = Mutex(nil)
    port = try freePort()
    try start()
  }

  deinit { stop() }

  func start() throws {
    let answer: @Sendable (HTTPRequestHead, [UInt8]) -> (HTTPResponseStatus, [UInt8]) = { [weak self] head, body in
      self?.answer(head, body) ?? (.serviceUnavailable, [])
    }
    let bound = try ServerBootstrap(group: loops)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.configureHTTPServerPipeline()
          try channel.pipeline.syncOperations.addHandler(Handler(answer: answer))
        }
      }
      .bind(host: "127.0.0.1", port: port).wait()
    channel.withLock { $0 = bound }
  }

  /// Stops listening; what it holds stays.
  func stop() {
    let bound = channel.withLock { channel in
      defer { channel = nil }
      return channel
    }
    try? bound?.close().wait()
  }

  /// Answers the next `count` requests with a status and nothing else.
  func answerNext(_ count: Int, with status: HTTPResponseStatus) {
    state.withLock {
      $0.status = status
      $0.statusCount = count
    }
  }

  func value(_ key: String) -> String? {
    state.withLock { $0.values[key].map { String(decoding: $0, as: UTF8.self) } }
  }

  func set(_ key: String, _ value: String?) { state.withLock { $0.values[key] = value.map { Array($0.utf8) } } }

  func clearLog() { state.withLock { $0.log = [] } }

  private func answer(_ head: HTTPRequestHead, _ body: [UInt8]) -> (HTTPResponseStatus, [UInt8]) {
    lastTarget.withLock { $0 = head.uri }
    lastHeaders.withLock { $0 = head.headers }
    let parts = head.uri.split(separator: "?", maxSplits: 1).map(String.init)
    guard parts.first == "/metadata" else { return (.notFound, []) }
    guard parts.count == 2, parts[1].hasPrefix("key="), let key = parts[1].dropFirst(4).removingPercentEncoding,
      !key.isEmpty
    else { return (.badRequest, Array("missing key".utf8)) }
    return state.withLock { state in
      state.log.append("\(head.method.rawValue) \(key)")
      if let status = state.status, state.statusCount > 0 {
        state.statusCount -= 1
        return (status, [])
      }
      switch head.method {
      case .GET:
        return state.values[key].map { (.ok, $0) } ?? (.notFound, Array("metadata not found".utf8))
      case .PUT:
        if key.contains("rpc_meta"), state.values[key] != nil {
          return (.badRequest, Array("Duplicate rpc_meta key not allowed".utf8))
        }
        state.values[key] = body
        return (.ok, Array("metadata updated".utf8))
      case .DELETE:
        guard state.values.removeValue(forKey: key) != nil else { return (.notFound, Array("metadata not found".utf8)) }
        return (.ok, Array("metadata deleted".utf8))
      default:
        return (.methodNotAllowed, [])
      }
    }
  }

  private final class Handler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private let answer: @Sendable (HTTPRequestHead, [UInt8]) -> (HTTPResponseStatus, [UInt8])
    private var head: HTTPRequestHead?
    private var body: [UInt8] = []

    init(answer: @escaping @Sendable (HTTPRequestHead, [UInt8]) -> (HTTPResponseStatus, [UInt8])) {
      self.answer = answer
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      switch unwrapInboundIn(data) {
      case .head(let head): (self.head, body) = (head, [])
      case .body(let part): body.append(contentsOf: part.readableBytesView)
      case .end:
        guard let head else { return }
        let (status, bytes) = answer(head, body)
        let headers: HTTPHeaders = ["Content-Length": "\(bytes.count)"]
        context.write(
          wrapOutboundOut(.head(HTTPResponseHead(version: .http1_1, status: status, headers: headers))), promise: nil)
        context.write(
          wrapOutboundOut(.body(.byteBuffer(context.channel.allocator.buffer(bytes: bytes)))), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
      }
    }
  }
}

extension StringProtocol {
  /// The text with `%XX` read; nil for a broken one.
  var removingPercentEncoding: String? {
    var bytes: [UInt8] = []
    var rest = Array(utf8)[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte)
        continue
      }
      guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else {
        return nil
      }
      bytes.append(value)
      rest = rest.dropFirst(2)
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}

/// Accepts connections and takes what comes, and never says anything; or says one thing and nothing else.
final class SilentServer: Sendable {
  private let channel: any Channel
  let port: Int

  init(saying text: String? = nil) throws {
    channel = try ServerBootstrap(group: loops)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(Talker(text: text))
        }
      }
      .bind(host: "127.0.0.1", port: 0).wait()
    port = channel.localAddress?.port ?? 0
  }

  deinit { channel.close(promise: nil) }

  private final class Talker: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let text: String?
    init(text: String?) { self.text = text }
    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      guard let text else { return }
      context.writeAndFlush(NIOAny(context.channel.allocator.buffer(string: text)), promise: nil)
    }
  }
}
