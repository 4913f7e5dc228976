internal import NIOCore
internal import Synchronization

/// The daemon's open connections, and the bounds on what they may take.
final class ConnectionRegistry: Sendable {
  private struct State {
    var nextID: UInt64 = 0
    /// Connections that have not delivered their request yet.
    var waiting: [UInt64: any Channel] = [:]
    /// No connection in `waiting` is older.
    var oldestWaiting: UInt64 = 0
    /// Connections whose request is there.
    var served: [UInt64: any Channel] = [:]
    var heldBytes = 0
    var isClosed = false

    mutating func removeOldest() -> (any Channel)? {
      if !waiting.isEmpty {
        while oldestWaiting < nextID {
          let id = oldestWaiting
          oldestWaiting += 1
          if let channel = waiting.removeValue(forKey: id) { return channel }
        }
      }
      return served.keys.min().flatMap { served.removeValue(forKey: $0) }
    }
  }

  /// What `admit` decided.
  enum Admission {
    case admitted(UInt64)
    /// Admitted, and an old connection must go for it.
    case replacing(UInt64, any Channel)
    /// The daemon is closed.
    case refused
  }

  let maximumConnections: Int
  let maximumBytes: Int
  private let state = Mutex(State())

  /// `maximumBytes` bounds the requests that are not whole yet, all connections together.
  init(maximumConnections: Int, maximumBytes: Int) {
    self.maximumConnections = max(1, maximumConnections)
    self.maximumBytes = maximumBytes
  }

  func admit(_ channel: any Channel) -> Admission {
    state.withLock { state in
      guard !state.isClosed else { return .refused }
      var victim: (any Channel)?
      if state.waiting.count + state.served.count >= maximumConnections {
        // A flood of connections that do nothing must not keep others out until its deadlines. Those that owe their
        // request go first; an honest client is among the oldest only for milliseconds.
        victim = state.removeOldest()
      }
      let id = state.nextID
      state.nextID += 1
      state.waiting[id] = channel
      guard let victim else { return .admitted(id) }
      return .replacing(id, victim)
    }
  }

  /// The connection's request is there: it is no longer closed in favour of another.
  func requestArrived(_ id: UInt64) {
    state.withLock { state in
      guard let channel = state.waiting.removeValue(forKey: id) else { return }
      state.served[id] = channel
    }
  }

  func remove(_ id: UInt64) {
    state.withLock { state in
      state.waiting[id] = nil
      state.served[id] = nil
    }
  }

  /// Counts bytes that a connection holds more, or fewer. False when there are too many.
  func hold(_ bytes: Int) -> Bool {
    state.withLock { state in
      state.heldBytes += bytes
      return state.heldBytes <= maximumBytes
    }
  }

  /// Refuses all later connections, and returns the present ones.
  func close() -> [any Channel] {
    state.withLock { state in
      state.isClosed = true
      return Array(state.waiting.values) + Array(state.served.values)
    }
  }
}
