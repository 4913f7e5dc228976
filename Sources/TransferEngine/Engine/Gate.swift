internal import Synchronization

/// Counts the calls that are inside the engine, and lets none in once it is shut down.
struct Gate: ~Copyable {
  private let state = Atomic<Int>(0)
  private static let closed = 1 << 62

  /// Every call that got in leaves by ``leave()``.
  @inline(__always)
  func enter() throws(TransferError) {
    guard state.add(1, ordering: .acquiring).oldValue < Self.closed else {
      leave()
      throw TransferError(.shutDown, "The engine is shut down. Create a new one.")
    }
  }

  @inline(__always)
  func leave() { state.subtract(1, ordering: .releasing) }

  /// Lets nobody in any more. Returns whether it was open.
  func close() -> Bool {
    var seen = state.load(ordering: .relaxed)
    while seen < Self.closed {
      let outcome = state.compareExchange(
        expected: seen, desired: seen + Self.closed, ordering: .sequentiallyConsistent)
      if outcome.exchanged { return true }
      seen = outcome.original
    }
    return false
  }

  /// Waits until everybody has left, or for `nanoseconds`.
  func drain(nanoseconds: UInt64) {
    let deadline = Clock.now + nanoseconds
    while state.load(ordering: .acquiring) > Self.closed, Clock.now < deadline { Thread.yield() }
  }
}
