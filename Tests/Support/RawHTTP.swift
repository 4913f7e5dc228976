internal import Foundation
internal import Glibc

/// An HTTP client that sends just the bytes that it is given, over one connection.
public final class RawHTTP {
  /// What came back.
  public struct Reply: Equatable {
    /// The status code.
    public var status: Int
    /// The headers, names in lower case.
    public var headers: [String: String]
    /// The body's bytes.
    public var body: [UInt8]
    /// The body as text.
    public var text: String { String(decoding: body, as: UTF8.self) }
  }

  /// Something that the server did not do.
  public struct Failure: Error, CustomStringConvertible {
    /// What.
    public let description: String

    /// A failure, in words.
    public init(description: String) { self.description = description }
  }

  private let descriptor: Int32
  private var pending: [UInt8] = []

  /// Connects to a port of this host.
  public init(port: UInt16, seconds: Int = 20) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var limit = timeval(tv_sec: seconds, tv_usec: 0)
    let size = socklen_t(MemoryLayout<timeval>.size)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, size)
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, size)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let code = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    guard code == 0 else { throw Failure(description: "connect: \(String(cString: strerror(errno)))") }
  }

  deinit { close(descriptor) }

  /// Sends bytes; false when the server no longer takes them.
  @discardableResult
  public func send(_ bytes: [UInt8]) -> Bool {
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes { source in
        Glibc.send(descriptor, source.baseAddress.map { $0 + sent }, bytes.count - sent, Int32(MSG_NOSIGNAL))
      }
      guard count > 0 else { return false }
      sent += count
    }
    return true
  }

  /// Sends text.
  @discardableResult
  public func send(_ text: String) -> Bool { send(Array(text.utf8)) }

  /// Says that nothing more will be sent.
  public func finishSending() { shutdown(descriptor, Int32(SHUT_WR)) }

  /// Sends a request and reads its reply.
  public func request(_ method: String, _ target: String, body: [UInt8]? = nil) throws -> Reply {
    let length = body.map { "Content-Length: \($0.count)\r\n" } ?? ""
    send(Array("\(method) \(target) HTTP/1.1\r\nHost: test\r\n\(length)\r\n".utf8) + (body ?? []))
    return try reply(toHead: method == "HEAD")
  }

  /// Reads a reply.
  public func reply(toHead: Bool = false) throws -> Reply {
    var reply = try head()
    let length = toHead ? 0 : Int(reply.headers["content-length"] ?? "") ?? 0
    while pending.count < length { try fill() }
    reply.body = Array(pending.prefix(length))
    pending.removeFirst(length)
    return reply
  }

  private func head() throws -> Reply {
    let end = Array("\r\n\r\n".utf8)
    while pending.firstRange(of: end) == nil { try fill() }
    guard let range = pending.firstRange(of: end) else { throw Failure(description: "no head") }
    let lines = String(decoding: pending[..<range.lowerBound], as: UTF8.self).components(separatedBy: "\r\n")
    pending.removeSubrange(..<range.upperBound)
    let words = lines[0].split(separator: " ")
    guard words.count >= 2, words[0] == "HTTP/1.1", let status = Int(words[1]) else {
      throw Failure(description: "not a reply: \(lines[0])")
    }
    var headers: [String: String] = [:]
    for line in lines.dropFirst() {
      let parts = line.split(separator: ":", maxSplits: 1)
      if parts.count == 2 { headers[parts[0].lowercased()] = parts[1].trimmingCharacters(in: .whitespaces) }
    }
    return Reply(status: status, headers: headers, body: [])
  }

  private func fill() throws {
    var chunk = [UInt8](repeating: 0, count: 65536)
    let count = recv(descriptor, &chunk, chunk.count, 0)
    guard count > 0 else {
      let reason = count == 0 ? "the server closed" : String(cString: strerror(errno))
      throw Failure(description: "\(reason); had \(pending.count) bytes")
    }
    pending.append(contentsOf: chunk.prefix(count))
  }

  /// Whether the server closes the connection, within the time limit, and says nothing more before that.
  public func isClosed() -> Bool {
    var byte: UInt8 = 0
    if !pending.isEmpty { return false }
    let count = recv(descriptor, &byte, 1, 0)
    return count == 0 || (count < 0 && errno == ECONNRESET)
  }

  /// One request over a connection of its own.
  public static func request(
    _ method: String, _ target: String, body: [UInt8]? = nil, port: UInt16
  ) throws -> Reply {
    try RawHTTP(port: port).request(method, target, body: body)
  }
}
