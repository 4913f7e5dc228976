internal import Glibc
internal import TestSupport
internal import Wire

/// A client without manners: it sends whatever it is told to. One thread may send while another receives.
final class RawConnection: @unchecked Sendable {
  private let socket: Int32

  init(port: UInt16) throws {
    socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    // For connecting as well.
    var patience = timeval(tv_sec: 20, tv_usec: 0)
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    let result = withUnsafeBytes(of: &address) { bytes in
      connect(socket, bytes.assumingMemoryBound(to: sockaddr.self).baseAddress, socklen_t(bytes.count))
    }
    guard result == 0 else { throw PeerProcess.Failure("connect: error \(errno)") }
  }

  deinit { close(socket) }

  /// Sends all of it, or as much as the other side takes before it closes.
  func send(_ bytes: [UInt8]) {
    var done = 0
    while done < bytes.count {
      let count = bytes[done...].withUnsafeBytes { Glibc.send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      guard count > 0 else { return }
      done += count
    }
  }

  /// Sends a request, with a payload if it is a write.
  func request(
    _ opcode: TCPRequestHeader.Opcode, _ address: UInt64, _ size: UInt64, acknowledged: Bool = true,
    payload: [UInt8] = []
  ) {
    let header = TCPRequestHeader(opcode, address: address, size: size, isAcknowledged: acknowledged)
    send(header.encoded + payload)
  }

  /// Sends no more.
  func finish() { shutdown(socket, Int32(SHUT_WR)) }

  /// The next `count` bytes, or fewer if the connection ends before.
  func receive(_ count: Int) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var done = 0
    while done < count {
      let received = bytes[done...].withUnsafeMutableBytes { recv(socket, $0.baseAddress, $0.count, 0) }
      guard received > 0 else { break }
      done += received
    }
    return Array(bytes[..<done])
  }

  /// The status frame that comes next; nil where the connection ends before.
  func status() -> TCPStatusFrame? {
    let bytes = receive(TCPStatusFrame.length)
    guard bytes.count == TCPStatusFrame.length else { return nil }
    return bytes.withUnsafeBytes { bytes in bytes.baseAddress.flatMap { TCPStatusFrame(decoding: $0) } }
  }

  /// Whether the other side closes, now or within the patience of a read.
  var isClosedByPeer: Bool {
    var byte: UInt8 = 0
    let count = recv(socket, &byte, 1, 0)
    return count == 0 || (count < 0 && errno == ECONNRESET)
  }
}

/// A listener that nobody has planned for.
final class RawListener {
  private let socket: Int32

  init(port: UInt16) throws {
    socket = Glibc.socket(AF_INET6, Int32(SOCK_STREAM.rawValue), 0)
    var yes: Int32 = 1
    setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
    var address = sockaddr_in6()
    address.sin6_family = sa_family_t(AF_INET6)
    address.sin6_port = port.bigEndian
    let result = withUnsafeBytes(of: &address) { bytes in
      bind(socket, bytes.assumingMemoryBound(to: sockaddr.self).baseAddress, socklen_t(bytes.count))
    }
    guard result == 0, listen(socket, 16) == 0 else { throw PeerProcess.Failure("listen: error \(errno)") }
    var patience = timeval(tv_sec: 3, tv_usec: 0)
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
  }

  deinit { close(socket) }

  /// Serves one connection: answers the first 24 bytes, reads until there is no more, and returns all that came; nil if
  /// nobody connects within 3 s.
  func serve(answer: TCPStatusFrame) throws -> [UInt8]? {
    let connection = accept(socket, nil, nil)
    if connection < 0, errno == EAGAIN { return nil }
    guard connection >= 0 else { throw PeerProcess.Failure("accept: error \(errno)") }
    defer { close(connection) }
    var patience = timeval(tv_sec: 20, tv_usec: 0)
    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    var heard: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    var hasAnswered = false
    while true {
      let count = recv(connection, &chunk, chunk.count, 0)
      guard count > 0 else { return heard }
      heard += chunk[..<count]
      if !hasAnswered, heard.count >= TCPRequestHeader.length {
        hasAnswered = true
        var bytes = [UInt8](repeating: 0, count: TCPStatusFrame.length)
        bytes.withUnsafeMutableBytes { if let base = $0.baseAddress { answer.encode(into: base) } }
        send(connection, bytes, bytes.count, Int32(MSG_NOSIGNAL))
        shutdown(connection, Int32(SHUT_WR))
      }
    }
  }
}
