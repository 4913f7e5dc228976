internal import Synchronization

/// An open segment: the peer behind it, and what the peer published when we looked last.
final class Segment: Sendable {
  struct Current: Sendable {
    let peer: Peer
    let snapshot: PeerSnapshot
  }

  /// The name that it was opened under.
  let name: String
  private let state: Mutex<Current>

  init(name: String, _ current: Current) {
    self.name = name
    state = Mutex(current)
  }

  var current: Current { state.withLock { $0 } }

  func update(_ current: Current) { state.withLock { $0 = current } }
}
