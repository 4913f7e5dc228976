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

  /// A class, since every submission takes it out from under a lock: one reference is counted rather than three.
  final class Current: Sendable {
    let route: Route
    let snapshot: PeerSnapshot
    /// The engine behind it, where it is on this host: what it can be used for does not take the route.
    let neighbour: Neighbour?

    init(route: Route, snapshot: PeerSnapshot, neighbour: Neighbour?) {
      self.route = route
      self.snapshot = snapshot
      self.neighbour = neighbour
    }

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
