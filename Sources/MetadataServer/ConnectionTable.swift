internal import NIOCore
internal import Synchronization

/// The open connections, and what they hold together.
final class ConnectionTable: Sendable {
  private struct State {
    var channels: [UInt64: any Channel] = [:]
    /// Connections without a request, by when that began.
    var idle: [UInt64: UInt64] = [:]
    var counter: UInt64 = 0
    var heldBytes = 0
    var isClosed = false
  }

  private let state = Mutex(State())
  private let maximumConnections: Int
  private let maximumBytes: Int

  /// `maximumBytes` bounds the bodies of all requests that are being received.
  init(maximumConnections: Int, maximumBytes: Int) {
    self.maximumConnections = max(1, maximumConnections)
    self.maximumBytes = maximumBytes
  }

  /// How many connections are open.
  var count: Int { state.withLock { $0.channels.count } }

  /// The connection's number, and a connection that must go for it. No number: there is no room.
  func admit(_ channel: any Channel) -> (id: UInt64?, victim: (any Channel)?) {
    state.withLock { state in
      guard !state.isClosed else { return (nil, nil) }
      var victim: (any Channel)?
      if state.channels.count >= maximumConnections {
        guard let oldest = state.idle.min(by: { $0.value < $1.value })?.key else { return (nil, nil) }
        state.idle[oldest] = nil
        victim = state.channels.removeValue(forKey: oldest)
      }
      state.counter += 1
      state.channels[state.counter] = channel
      state.idle[state.counter] = state.counter
      return (state.counter, victim)
    }
  }

  /// Tells whether a connection has a request.
  func setIdle(_ id: UInt64, _ isIdle: Bool) {
    state.withLock { state in
      guard state.channels[id] != nil else { return }
      state.counter += 1
      state.idle[id] = isIdle ? state.counter : nil
    }
  }

  func remove(_ id: UInt64) {
    state.withLock { state in
      state.channels[id] = nil
      state.idle[id] = nil
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
      return Array(state.channels.values)
    }
  }
}
