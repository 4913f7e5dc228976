internal import Synchronization

/// An open segment: the way to it, and what the peer published when we looked last.
final class Segment: Sendable {
  /// How its memory is reached.
  enum Route: Sendable {
    /// Over the NICs of both sides.
    case fabric(Peer)
    /// Over TCP.
    case stream(TCPPeer)
    /// Not by this engine, which has not the transport.
    case none
  }

  struct Current: Sendable {
    let route: Route
    let snapshot: PeerSnapshot
    /// The engine behind it, where it is on this host: what it can be used for does not take the route.
    var neighbour: Neighbour?

    /// Whether the peer has been restarted since, as far as we have heard.
    var isStale: Bool {
      switch route {
      case .fabric(let peer): peer.life.isStale
      case .stream(let peer): peer.life.isStale
      // There is nothing else that would hear of it.
      case .none: neighbour?.isReachable == false
      }
    }
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
