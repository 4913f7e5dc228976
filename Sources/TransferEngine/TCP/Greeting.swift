internal import Glibc
internal import Wire

/// What comes first on a connection to a peer that tells its lives apart: nothing else is sent before it has said that
/// it is the one that is meant.
enum Greeting {
  /// How it ended.
  enum Outcome {
    /// The peer is the one that is meant.
    case accepted
    /// It is another life of it.
    case otherLife
    /// It did not say: because it is somebody else, or cannot speak right now.
    case unanswered(String)
  }

  /// Greets on a connected socket whose calls come back now and then.
  ///
  /// - Parameters:
  ///   - limit: How long the answer may take, in nanoseconds.
  ///   - isWanted: Asked whenever a call has come back; the greeting ends when it says no.
  static func exchange(_ socket: Int32, _ hello: TCPHello, limit: UInt64, isWanted: () -> Bool) -> Outcome {
    let bytes = hello.encoded
    // A new connection has room for so little.
    let sent = bytes.withUnsafeBytes { send(socket, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
    guard sent == bytes.count else { return .unanswered("the connection broke: \(StreamSocket.describe(errno))") }
    let deadline = Clock.now &+ limit
    return withUnsafeTemporaryAllocation(byteCount: TCPStatusFrame.length, alignment: 8) { answer in
      guard let base = answer.baseAddress else { return .unanswered("there is no memory") }
      var received = 0
      while received < answer.count {
        let count = recv(socket, base + received, answer.count - received, 0)
        if count > 0 {
          received += count
          continue
        }
        guard count < 0, errno == EAGAIN || errno == EINTR else { return .unanswered("the connection was closed") }
        guard isWanted(), Clock.now < deadline else {
          return .unanswered("no answer came within \(limit / 1_000_000_000) s")
        }
      }
      switch TCPStatusFrame(decoding: base) {
      case .sameLife?: return .accepted
      case .otherLife?: return .otherLife
      default: return .unanswered("the answer is none of this protocol's")
      }
    }
  }
}
