internal import NIOCore

/// Tries an operation on a store again while that may help: until its deadline, and a bounded number of times.
struct StoreRetry: Sendable {
  /// What the store is called in errors.
  let address: String
  let loop: any EventLoop
  let deadline: NIODeadline
  private let start = NIODeadline.now()

  /// With the pauses, about a second and a half's worth of a store that refuses connections.
  static let maximumAttempts = 6
  static let firstPause = TimeAmount.milliseconds(50)

  init(address: String, loop: any EventLoop, deadline: NIODeadline) {
    self.address = address
    self.loop = loop
    self.deadline = deadline
  }

  /// Runs `attempt` with its number, from 0 on.
  func run<Value: Sendable>(
    _ attempt: @escaping @Sendable (Int) -> EventLoopFuture<Value>
  ) -> EventLoopFuture<Value> {
    run(0, attempt)
  }

  private func run<Value: Sendable>(
    _ number: Int, _ attempt: @escaping @Sendable (Int) -> EventLoopFuture<Value>
  ) -> EventLoopFuture<Value> {
    attempt(number).hop(to: loop).flatMapError { error in
      let error =
        (error as? MetadataError)
        ?? MetadataError(.stopped, "\(error)", advice: "make the call before the event loops are shut down")
      guard Self.mayHelp(error) else { return loop.makeFailedFuture(error) }
      let pause = Self.firstPause * Int(1 << number)
      guard number + 1 < Self.maximumAttempts, NIODeadline.now() + pause < deadline else {
        return loop.makeFailedFuture(givenUp(error, attempts: number + 1))
      }
      return loop.flatScheduleTask(in: pause) { run(number + 1, attempt) }.futureResult
    }
  }

  private static func mayHelp(_ error: MetadataError) -> Bool {
    [.connectFailed, .closedWithoutReply, .timedOut, .storeUnavailable, .nameNotResolved].contains(error.code)
  }

  private func givenUp(_ error: MetadataError, attempts: Int) -> MetadataError {
    let milliseconds = (NIODeadline.now() - start).nanoseconds / 1_000_000
    return MetadataError(
      error.code == .timedOut ? .timedOut : .storeUnavailable,
      "the metadata store \(address) cannot be used: \(error.message)"
        + " (\(attempts) attempt\(attempts == 1 ? "" : "s") in \(milliseconds) ms)",
      advice: "\(error.advice); check the metadata connection string. The next call tries again")
  }
}

/// A store's text for an error message: of bounded length, without control characters.
func printable(_ bytes: some Sequence<UInt8>) -> String {
  var shown = String.UnicodeScalarView()
  let text = String(decoding: Array(bytes.prefix(512)), as: UTF8.self)
  shown.append(contentsOf: text.unicodeScalars.filter { $0.properties.generalCategory != .control })
  return String(shown)
}
