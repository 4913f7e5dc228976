internal import Memory
internal import TransferEngine

/// Shows that a probe's transfers have moved what it sent: other bytes go out each time, and are fetched back through the
/// fabric into memory that took no part in the transfer.
struct ProbeVerification {
  private let session: EngineSession
  private let request: TransferRequest
  private let timeout: Duration
  private let fetched: HostMemory
  /// Differs from run to run: what an earlier one has left at the target does not pass.
  private let seed = UInt64.random(in: 1..<(.max / 2))

  /// - Parameter request: What the probe sends, from the beginning of the session's first buffer.
  init(_ session: EngineSession, _ request: TransferRequest, timeout: Duration) throws(CommandFailure) {
    self.session = session
    self.request = request
    self.timeout = timeout
    fetched = try session.makeBuffer(length: request.length)
  }

  /// Fills the source of transfer `number`.
  func prepare(transfer number: Int) {
    PatternFill.fill(session.buffers[0].bytes(count: request.length), seed: seed &+ UInt64(number))
  }

  /// Fetches what transfer `number` wrote, and compares it.
  func check(transfer number: Int) throws(CommandFailure) {
    let back = TransferRequest(
      .read, local: fetched.baseAddress, target: request.target, remote: request.remote, length: request.length)
    try session.transfer([back], timeout: timeout)
    let bytes = UnsafeRawBufferPointer(fetched.bytes(count: request.length))
    guard let at = PatternFill.firstMismatch(bytes, seed: seed &+ UInt64(number)) else { return }
    throw CommandFailure(
      "Detect data integrity problem: byte \(at) of transfer #\(number) is not at the target as it was sent")
  }
}
