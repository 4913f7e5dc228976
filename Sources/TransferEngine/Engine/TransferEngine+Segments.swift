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
      let (fabric, registry) = try installed()
      return SegmentDescription(publisher(fabric, registry).descriptor())
    }
    let found = try segments.segment(segment)
    if cachesNoMetadata { try segments.refresh(found) }
    return SegmentDescription(found.current.snapshot.descriptor)
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
    guard let segment = segments.segment(named: name) else {
      throw TransferError(.invalidArgument, "The segment '\(name)' is not open.")
    }
    try segments.refresh(segment)
  }

  func publisher(_ fabric: EFATransport, _ registry: LocalRegistry) -> DescriptorPublisher {
    DescriptorPublisher(name: name, incarnation: identity.incarnation, fabric: fabric, registry: registry)
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
    let (fabric, _) = try installed()
    if name.isEmpty || name == self.name {
      return WarmupReport(
        segment: name, connected: 0, pairs: 0, localNICs: fabric.rails.count, peerNICs: fabric.rails.count,
        microseconds: 0)
    }
    let name = try Self.segmentName(name)
    let open = segments.segment(named: name)
    var current: Segment.Current
    if let open, !open.current.peer.life.isStale { current = open.current } else { current = try segments.fetch(name) }
    guard case .efa = current.snapshot.descriptor.transport else {
      throw TransferError(
        .transportNotSupported, "\(name) serves '\(current.snapshot.descriptor.transport)', which needs no warm-up.")
    }
    var pairs = pairs(to: current)
    do throws(TransferError) {
      try current.peer.connect(pairs, from: identity, by: client)
    } catch {
      guard error.code == .peerRestarted else { throw error }
      if let open { try segments.refresh(open) }
      if let open { current = open.current } else { current = try segments.fetch(name) }
      pairs = self.pairs(to: current)
      try current.peer.connect(pairs, from: identity, by: client)
    }
    let report = WarmupReport(
      segment: name, connected: current.peer.connected(pairs), pairs: pairs.count, localNICs: fabric.rails.count,
      peerNICs: current.snapshot.nicCount, microseconds: Int((Clock.now - start) / 1000))
    logger.info(
      """
      warm-up of \(name): \(report.connected)/\(report.pairs) NIC pairs connected in \(report.microseconds) us \
      (\(report.localNICs) local NICs, \(report.peerNICs) peer NICs)
      """)
    return report
  }

  /// The pairs of NICs over which transfers to the segment go.
  func pairs(to current: Segment.Current) -> [Peer.Pair] {
    guard current.snapshot.nicCount > 0 else { return [] }
    return current.snapshot.primary.enumerated().map { Peer.Pair(rail: $0.offset, nic: $0.element) }
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
  init(_ descriptor: SegmentDescriptor) {
    self.init(
      name: descriptor.name, transport: "\(descriptor.transport)", nics: descriptor.devices.map(\.name),
      buffers: descriptor.buffers.map { Buffer(location: $0.name, address: $0.address, length: $0.length) })
  }
}
