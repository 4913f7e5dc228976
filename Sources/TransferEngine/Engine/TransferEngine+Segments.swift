internal import Logging
internal import Metadata
internal import Wire

extension TransferEngine {
  /// Opens the segment of the engine named `name` (`host:port`). Opening it again gives the same number.
  ///
  /// - Throws: ``TransferError``: `invalidArgument` for an empty name, or why the peer's descriptor could not be had.
  public func openSegment(_ name: String) throws(TransferError) -> SegmentID {
    try gate.enter()
    defer { gate.leave() }
    let name = try Self.segmentName(name)
    return name == self.name ? .local : try segments.open(name)
  }

  /// Takes back one opening. The last one forgets the segment; transfers under way still complete.
  public func closeSegment(_ segment: SegmentID) throws(TransferError) {
    try gate.enter()
    defer { gate.leave() }
    if segment != .local { try segments.close(segment) }
  }

  /// What the segment's owner published when it was looked at last.
  public func describe(_ segment: SegmentID) throws(TransferError) -> SegmentDescription {
    try gate.enter()
    defer { gate.leave() }
    if segment == .local {
      try checkInstalled()
      return SegmentDescription(publisher.descriptor())
    }
    let found = try segments.segment(segment)
    if cachesNoMetadata { try segments.refresh(found) }
    return SegmentDescription(found.current.snapshot)
  }

  /// Looks again at what the owner of the segment that is open under `name` publishes; without a name, of every open
  /// segment, one after the other.
  ///
  /// Where the owner or its store cannot be asked, what is known stays.
  ///
  /// - Throws: ``TransferError``: `invalidArgument` for a segment that is not open, or why it could not be asked for.
  ///   Without a name, failures are logged.
  public func syncSegmentCache(_ name: String = "") throws(TransferError) {
    try gate.enter()
    defer { gate.leave() }
    guard !name.isEmpty else { return segments.refreshAll(logger) }
    let name = try Self.segmentName(name)
    if name == self.name { return }
    guard let segment = segments.find(name) else {
      throw TransferError(.invalidArgument, "The segment '\(name)' is not open.")
    }
    try segments.refresh(segment)
  }

  /// Connects every local NIC to the segment's NICs that it would use, so that the first transfer does not have to.
  ///
  /// A Moonrail peer needs one round trip, whatever the number of NICs. The own name and a segment that is connected
  /// already are fine.
  ///
  /// - Throws: ``TransferError``: why the peer could not be reached.
  @discardableResult
  public func warmup(segment name: String) throws(TransferError) -> WarmupReport {
    try gate.enter()
    defer { gate.leave() }
    let start = Clock.now
    try checkInstalled()
    let rails = progress.rails
    if name.isEmpty || name == self.name {
      return WarmupReport(
        segment: name, connected: 0, pairs: 0, localNICs: rails.count, peerNICs: rails.count,
        microseconds: 0)
    }
    let name = try Self.segmentName(name)
    let counts: (connected: Int, pairs: Int, nics: Int)
    do throws(TransferError) {
      counts = try connect(name, isRestarted: false)
    } catch {
      guard error.code == .peerRestarted else { throw error }
      counts = try connect(name, isRestarted: true)
    }
    let report = WarmupReport(
      segment: name, connected: counts.connected, pairs: counts.pairs, localNICs: rails.count, peerNICs: counts.nics,
      microseconds: Int((Clock.now - start) / 1000))
    logger.info(
      """
      warm-up of \(name): \(report.connected)/\(report.pairs) NIC pairs connected in \(report.microseconds) us \
      (\(report.localNICs) local NICs, \(report.peerNICs) peer NICs)
      """)
    return report
  }

  /// Makes all links to the segment. `isRestarted`: what is known of it does not hold any more.
  private func connect(
    _ name: String, isRestarted: Bool
  ) throws(TransferError) -> (connected: Int, pairs: Int, nics: Int) {
    let current: Segment.Current
    if let open = segments.find(name) {
      var isInDoubt = isRestarted || open.current.isStale
      // Where a link broke there may be another process by now, with other NICs.
      if case .fabric(let peer) = open.current.route, peer.takeTrouble() { isInDoubt = true }
      if isInDoubt { try segments.refresh(open) }
      current = open.current
    } else {
      current = try segments.fetch(name)
    }
    switch current.route {
    case .fabric(let peer):
      let pairs = pairs(to: current)
      try peer.connect(pairs, needed: pairs, from: identity, by: client)
      return (peer.connected(pairs), pairs.count, current.snapshot.nicCount)
    case .stream:
      // Connections are made when there is something to send; nothing has to be agreed on before.
      return (0, 0, 0)
    case .none: throw unreachable(name, current.snapshot)
    }
  }

  /// Says that no transport of this engine reaches a segment.
  func unreachable(_ name: String, _ snapshot: PeerSnapshot) -> TransferError {
    TransferError(
      .transportNotSupported,
      "\(name) serves '\(snapshot.header.transport)', which this engine does not have. Create it with that"
        + " transport, or start the peer with one that this engine has.")
  }

  /// The pairs of NICs over which transfers to the segment go.
  func pairs(to current: Segment.Current) -> [Peer.Pair] {
    guard current.snapshot.nicCount > 0 else { return [] }
    return current.snapshot.nics.primary.enumerated().map { Peer.Pair(rail: $0.offset, nic: $0.element) }
  }

  /// Sends a notification to the engine named `name` and waits for its receipt.
  public func notify(_ name: String, _ message: NotificationMessage) throws(TransferError) {
    try gate.enter()
    defer { gate.leave() }
    do {
      try client.notify(NotifyMessage(name: message.name, message: message.message), server: name)
    } catch {
      throw TransferError(error)
    }
  }

  /// Asks the engine named `name` whether it is alive.
  public func probe(_ name: String) throws(TransferError) {
    try gate.enter()
    defer { gate.leave() }
    do {
      try client.probe(name)
    } catch {
      throw TransferError(error)
    }
  }

  /// Upstream strips leading slashes, which mark names in its metadata stores.
  private static func segmentName(_ name: String) throws(TransferError) -> String {
    let stripped = String(name.drop { $0 == "/" })
    guard !stripped.isEmpty else {
      throw TransferError(.invalidArgument, "The segment's name is empty: give the peer's host:port.")
    }
    return stripped
  }
}

extension SegmentDescription {
  init(_ snapshot: PeerSnapshot) {
    self.init(
      name: snapshot.header.name, transport: "\(snapshot.header.transport)", nics: snapshot.nics.names,
      buffers: snapshot.ranges)
  }

  init(_ descriptor: SegmentDescriptor) {
    self.init(
      name: descriptor.name, transport: "\(descriptor.transport)", nics: descriptor.devices.map(\.name),
      buffers: descriptor.buffers.map { Buffer(location: $0.name, address: $0.address, length: $0.length) })
  }
}
