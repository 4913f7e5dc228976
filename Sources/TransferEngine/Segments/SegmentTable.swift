internal import Fabric
internal import Logging
internal import Synchronization
internal import Wire

/// The segments that are open, by number and by name, and the peers behind them.
final class SegmentTable: Sendable {
  /// Segments that may be open at once.
  static let limit = 1 << 20

  private struct Entry {
    var segment: Segment
    var opened: Int
  }
  private struct WeakPeer {
    weak var peer: Peer?
    /// Held by itself, so that looking at it can never be what ends the peer.
    let life: PeerLife
  }
  private struct State {
    var next: UInt64 = 1
    var entries: [UInt64: Entry] = [:]
    var names: [String: UInt64] = [:]
    var peers: [String: WeakPeer] = [:]
    /// The NICs of peers, each list once. What is forgotten here lives on with those who use it.
    var nics: [[String]: PeerNICs] = [:]
  }
  /// Kinds of hosts that are told apart; with more of them, the next ones share less.
  private static let hostKinds = 64

  private let state = Mutex(State())
  private let source: DescriptorSource
  private let rails: [Rail]
  private let railNames: [String]
  private let tcp: TCPTransport?
  private let sameHost: SameHost?

  init(source: DescriptorSource, rails: [Rail], tcp: TCPTransport?, sameHost: SameHost?) {
    self.sameHost = sameHost
    self.source = source
    self.rails = rails
    railNames = rails.map(\.device)
    self.tcp = tcp
  }

  /// Opens the segment under `name`, or counts one more opening of it.
  func open(_ name: String) throws(TransferError) -> SegmentID {
    if let id = reopen(name) { return id }
    let current = try fetch(name)
    return try state.withLock { state throws(TransferError) in
      // Somebody may have been faster.
      if let number = state.names[name] {
        state.entries[number]?.opened += 1
        return SegmentID(rawValue: number)
      }
      guard state.entries.count < Self.limit else {
        throw TransferError(.tooManyRequests, "\(Self.limit) segments are open. Close those that are not in use.")
      }
      let number = state.next
      state.next += 1
      state.names[name] = number
      state.entries[number] = Entry(segment: Segment(name: name, current), opened: 1)
      return SegmentID(rawValue: number)
    }
  }

  private func reopen(_ name: String) -> SegmentID? {
    state.withLock { state in
      guard let number = state.names[name] else { return nil }
      state.entries[number]?.opened += 1
      return SegmentID(rawValue: number)
    }
  }

  /// Closes one opening; the last one forgets the segment, and with it the peer once nothing is on its way there.
  func close(_ id: SegmentID) throws(TransferError) {
    let forgotten = try state.withLock { state throws(TransferError) -> Segment? in
      guard var entry = state.entries[id.rawValue] else { throw Self.unknown(id) }
      entry.opened -= 1
      guard entry.opened == 0 else {
        state.entries[id.rawValue] = entry
        return nil
      }
      state.entries[id.rawValue] = nil
      state.names[entry.segment.name] = nil
      return entry.segment
    }
    // Released here, outside of the lock: the last reference to a peer waits for rails.
    _ = forgotten
  }

  func segment(_ id: SegmentID) throws(TransferError) -> Segment {
    let segment = state.withLock { $0.entries[id.rawValue]?.segment }
    guard let segment else { throw Self.unknown(id) }
    return segment
  }

  /// The segment that is open under `name`.
  func find(_ name: String) -> Segment? {
    state.withLock { state in state.names[name].flatMap { state.entries[$0]?.segment } }
  }

  /// Looks again at what the owner of `segment` publishes. What was known stays where it cannot be had, or is the same.
  func refresh(_ segment: Segment) throws(TransferError) {
    let descriptor = try source.descriptor(of: segment.name)
    let known = segment.current
    let found = try current(descriptor)
    // A neighbour that was not met the first time is given another chance.
    let isSame = !known.isStale && known.snapshot.isEquivalent(to: found.snapshot)
    if isSame, known.neighbour != nil || found.neighbour == nil { return }
    segment.update(found)
  }

  /// The same for all open segments, one after the other; failures are logged.
  func refreshAll(_ logger: Logger) {
    let segments = state.withLock { state in state.entries.values.map(\.segment) }
    for segment in segments {
      do {
        try refresh(segment)
      } catch {
        logger.warning("the descriptor of \(segment.name) could not be refreshed, the one known stays: \(error)")
      }
    }
  }

  /// A peer has told which run of it this is. Never blocks.
  func meet(_ server: String, incarnation: String) {
    state.withLock { state in
      guard let life = state.peers[server]?.life, let known = life.incarnation, known != incarnation else { return }
      life.markStale()
    }
  }

  /// What the engine named `name` publishes, without opening it.
  func fetch(_ name: String) throws(TransferError) -> Segment.Current {
    try current(try source.descriptor(of: name))
  }

  private func current(_ descriptor: SegmentDescriptor) throws(TransferError) -> Segment.Current {
    let nics = nics(descriptor.devices.map(\.name))
    let route = try route(to: descriptor, nics)
    var needsKeys = false
    if case .fabric(let peer) = route {
      needsKeys = true
      if let addresses = descriptor.nicAddresses { peer.tell(addresses) }
    }
    return Segment.Current(
      route: route, snapshot: PeerSnapshot(descriptor, nics: nics, needsKeys: needsKeys),
      neighbour: sameHost?.neighbour(descriptor))
  }

  private func nics(_ names: [String]) -> PeerNICs {
    state.withLock { state in
      if let known = state.nics[names] { return known }
      if state.nics.count >= Self.hostKinds { state.nics = [:] }
      let nics = PeerNICs(names, rails: railNames)
      state.nics[names] = nics
      return nics
    }
  }

  private func route(to descriptor: SegmentDescriptor, _ nics: PeerNICs) throws(TransferError) -> Segment.Route {
    switch descriptor.transport {
    case .efa where !rails.isEmpty: return .fabric(peer(of: descriptor, nics))
    case .efa, .tcp:
      guard let tcp, descriptor.hasTCPListener else { return .none }
      return .stream(
        try tcp.peer(of: descriptor) { [weak self] (peer) throws(TransferError) in try self?.successor(of: peer) })
    default: return .none
    }
  }

  /// Looks again at the engine behind `peer`, for all segments that are reached by it. nil: it is not reached over TCP
  /// any more.
  private func successor(of peer: TCPPeer) throws(TransferError) -> (peer: TCPPeer, snapshot: PeerSnapshot)? {
    let segments = state.withLock { state in state.entries.values.map(\.segment) }.filter { segment in
      if case .stream(let known) = segment.current.route { known === peer } else { false }
    }
    let current = try fetch(segments.first?.name ?? peer.name)
    guard case .stream(let found) = current.route else {
      for segment in segments { segment.update(current) }
      return nil
    }
    if found !== peer { for segment in segments { segment.update(current) } }
    return (found, current.snapshot)
  }

  private func peer(of descriptor: SegmentDescriptor, _ nics: PeerNICs) -> Peer {
    let server = descriptor.nicPathServerName
    return state.withLock { state -> Peer in
      // Links belong to one run of the peer's process.
      if let known = state.peers[server]?.peer, known.nics == nics.names, !known.life.isStale,
        known.life.incarnation == descriptor.incarnation
      {
        return known
      }
      let peer = Peer(name: server, nics: nics, rails: rails, life: PeerLife(incarnation: descriptor.incarnation))
      if state.peers.count > 2 * (state.entries.count + 64) {
        state.peers = state.peers.filter { $0.value.peer != nil }
      }
      state.peers[server] = WeakPeer(peer: peer, life: peer.life)
      return peer
    }
  }

  /// Forgets everything.
  func removeAll() {
    let entries = state.withLock { state in
      defer { state = State() }
      return state.entries
    }
    _ = entries
  }

  private static func unknown(_ id: SegmentID) -> TransferError {
    TransferError(.invalidArgument, "Segment \(id) is not open.")
  }
}
