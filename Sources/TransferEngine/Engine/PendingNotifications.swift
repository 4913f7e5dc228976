internal import Logging
internal import Metadata
internal import NIOCore
internal import Synchronization
internal import Wire

/// Notifications that go out when their batch is seen complete, and those that are on their way.
final class PendingNotifications: Sendable {
  private struct Pending {
    let peer: String
    let message: NotificationMessage
  }
  private struct State {
    var waiting: [UInt64: Pending] = [:]
    var underWay = 0
  }

  private let state = Mutex(State())
  private let client: HandshakeClient
  private let logger: Logger

  init(client: HandshakeClient, logger: Logger) {
    self.client = client
    self.logger = logger
  }

  /// `message` goes to `peer` once batch `id` is complete. A later one for the same batch takes its place.
  func add(_ message: NotificationMessage, to peer: String, after id: BatchID) {
    state.withLock { $0.waiting[id.rawValue] = Pending(peer: peer, message: message) }
  }

  /// The batch is complete: sends what waits for it, at most once, without waiting for the answer.
  func send(_ id: BatchID) {
    guard
      let pending = state.withLock({ state -> Pending? in
        guard let pending = state.waiting.removeValue(forKey: id.rawValue) else { return nil }
        state.underWay += 1
        return pending
      })
    else { return }
    let message = NotifyMessage(name: pending.message.name, message: pending.message.message)
    client.notifying(message, server: pending.peer).whenComplete { [self] outcome in
      state.withLock { $0.underWay -= 1 }
      if case .failure(let error) = outcome {
        logger.warning("the notification '\(message.name)' did not reach \(pending.peer): \(error)")
      }
    }
  }

  /// The batch has failed or is freed: nothing goes out.
  func discard(_ id: BatchID) {
    _ = state.withLock { $0.waiting.removeValue(forKey: id.rawValue) }
  }

  /// Waits for what is on its way, or for `nanoseconds`.
  func flush(nanoseconds: UInt64) {
    let deadline = Clock.now + nanoseconds
    while state.withLock({ $0.underWay }) > 0, Clock.now < deadline { Thread.pause(microseconds: 200) }
  }
}
