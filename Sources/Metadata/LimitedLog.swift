package import Logging
internal import NIOCore
internal import Synchronization

/// Logs what strangers on the network cause, at a rate they cannot choose.
package final class LimitedLog: Sendable {
  private struct State {
    var windowStart = NIODeadline.uptimeNanoseconds(0)
    var written = 0
    var suppressed = 0
  }

  /// Enough to see what is going on, too few to fill a disk: 86,400 lines a day.
  static let linesPerWindow = 10
  static let window = TimeAmount.seconds(10)

  private let logger: Logger
  private let state = Mutex(State())

  package init(_ logger: Logger) { self.logger = logger }

  package func warning(_ message: @autoclosure () -> String) {
    let now = NIODeadline.now()
    let suppressedBefore: Int? = state.withLock { state in
      var suppressed = 0
      if now >= state.windowStart + Self.window {
        suppressed = state.suppressed
        state = State(windowStart: now)
      }
      guard state.written < Self.linesPerWindow else {
        state.suppressed += 1
        return nil
      }
      state.written += 1
      return suppressed
    }
    guard let suppressedBefore else { return }
    if suppressedBefore > 0 { logger.warning("\(suppressedBefore) further warnings were not shown") }
    logger.warning("\(message())")
  }

  package func debug(_ message: @autoclosure () -> String) { logger.debug("\(message())") }
}
