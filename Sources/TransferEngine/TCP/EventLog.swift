internal import Logging
internal import Synchronization

/// A log for what a peer can cause as often as it likes: a few lines a second, and how many there would have been.
final class EventLog: Sendable {
  private struct State {
    var windowStart: UInt64 = 0
    var lines = 0
    var suppressed = 0
  }

  private static let window: UInt64 = 1_000_000_000
  private static let linesPerWindow = 5

  private let logger: Logger
  private let state = Mutex(State())

  init(_ logger: Logger) { self.logger = logger }

  func warning(_ text: @autoclosure () -> String) {
    let now = Clock.now
    let suppressed = state.withLock { state -> Int? in
      if now &- state.windowStart > Self.window {
        state.windowStart = now
        state.lines = 0
      }
      guard state.lines < Self.linesPerWindow else {
        state.suppressed += 1
        return nil
      }
      state.lines += 1
      defer { state.suppressed = 0 }
      return state.suppressed
    }
    guard let suppressed else { return }
    let text = text()
    logger.warning("\(text)\(suppressed > 0 ? " (and \(suppressed) more lines of the kind before)" : "")")
  }
}
