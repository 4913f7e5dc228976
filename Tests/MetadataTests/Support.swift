import Foundation
import Glibc
import Logging
import NIOCore
import NIOPosix
import Synchronization
import Wire

@testable import Metadata

let loops = MultiThreadedEventLoopGroup.singleton

/// Collects what is logged.
final class LogLines: Sendable {
  private let lines = Mutex<[String]>([])

  var logger: Logger {
    var logger = Logger(label: "test") { _ in Handler(lines: self) }
    logger.logLevel = .debug
    return logger
  }

  func contains(_ text: String) -> Bool { lines.withLock { $0.contains { $0.contains(text) } } }

  var count: Int { lines.withLock { $0.count } }

  fileprivate func add(_ line: String) { lines.withLock { $0.append(line) } }

  private struct Handler: LogHandler {
    let lines: LogLines
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { lines.add("\(event.level): \(event.message)") }
  }
}

/// An engine that answers with what it was asked.
final class EchoService: HandshakeService {
  let descriptor = Mutex<[UInt8]?>(SegmentDescriptor(name: "echo", transport: .tcp).encoded())
  let notifications = Mutex<[NotifyMessage]>([])

  func connection(_ request: ConnectionMessage) -> ConnectionMessage {
    guard request.payload != "refuse" else { return .refusal("no such device") }
    var reply = request
    reply.localNICPath = request.peerNICPath
    reply.peerNICPath = request.localNICPath
    return reply
  }

  func segmentDescriptor(for request: DescriptorRequest) -> [UInt8]? { descriptor.withLock { $0 } }

  func notification(_ message: NotifyMessage) -> NotifyMessage {
    notifications.withLock { $0.append(message) }
    return message.message == "refuse" ? .rejected : .accepted
  }
}

/// A daemon on a random port, with a client for it.
final class Fixture {
  let service = EchoService()
  let lines = LogLines()
  let daemon: HandshakeDaemon
  let client: HandshakeClient

  init(_ change: (inout HandshakeOptions) -> Void = { _ in }) throws {
    var options = HandshakeOptions()
    options.portRange = 20000...29999
    change(&options)
    daemon = try HandshakeDaemon(options: options, service: service, group: loops, logger: lines.logger)
    client = HandshakeClient(options: options, group: loops, logger: lines.logger)
  }

  deinit { daemon.close() }

  var server: String { "127.0.0.1:\(daemon.port)" }
}

/// A blocking TCP socket, to send what no client of ours would.
final class RawSocket {
  let descriptor: Int32

  init(port: UInt16) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    var limit = timeval(tv_sec: 20, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    let result = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard result == 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
  }

  deinit { Glibc.close(descriptor) }

  /// What cannot be sent because the other side has closed is not sent: the reads show that.
  func send(_ bytes: [UInt8]) {
    var sent = 0
    while sent < bytes.count {
      let count = bytes[sent...].withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return }
      sent += count
    }
  }

  func finishSending() { shutdown(descriptor, Int32(SHUT_WR)) }

  /// All that comes until the other side closes; `nil` when it does not within 20 s.
  func readToEnd() -> [UInt8]? {
    var all: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = recv(descriptor, &chunk, chunk.count, 0)
      if count > 0 {
        all += chunk[..<count]
      } else if count == 0 || errno == ECONNRESET {
        return all
      } else {
        return nil
      }
    }
  }

  /// The first frame that comes back, whole.
  func readFrame() -> HandshakeFrame? {
    var decoder = HandshakeFrameDecoder(maximumLength: 64 << 20)
    var chunk = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = recv(descriptor, &chunk, chunk.count, 0)
      guard count > 0 else { return nil }
      decoder.push(chunk[..<count])
      if let frame = (try? decoder.next()) ?? nil { return frame }
    }
  }
}

/// Listens on loopback and does with every connection what the test says.
final class FakePeer {
  let channel: any Channel

  /// `reply` is sent as soon as anything arrives; an empty one closes; `nil` stays silent.
  init(reply: [UInt8]?) throws {
    channel = try ServerBootstrap(group: loops)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(Answer(reply: reply))
        }
      }
      .bind(host: "127.0.0.1", port: 0).wait()
  }

  deinit { channel.close(promise: nil) }

  var server: String { "127.0.0.1:\(channel.localAddress?.port ?? 0)" }

  private final class Answer: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    let reply: [UInt8]?
    init(reply: [UInt8]?) { self.reply = reply }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      guard let reply else { return }
      if reply.isEmpty { return context.close(promise: nil) }
      context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: reply)), promise: nil)
    }
  }
}

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

func frame(_ type: HandshakeMessageType?, _ body: String) -> [UInt8] {
  HandshakeFrame(type: type, body: bytes(body)).encoded()
}

/// The code of the error that a call throws.
func code(_ body: () throws -> Void) -> MetadataError.Code? {
  do { try body() } catch { return (error as? MetadataError)?.code }
  return nil
}
