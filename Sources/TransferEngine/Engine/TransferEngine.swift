internal import CLinux
public import Fabric
public import Logging
internal import Metadata
internal import NIOCore
internal import NIOPosix
internal import Synchronization
public import Topology
internal import Wire

/// Moves memory between this host and its peers.
///
/// One engine has a name (`host:port`), answers its peers' handshakes under it, registers memory, opens the segments of
/// peers, and moves batches of requests between the two. All methods may be called from any thread. Those that talk to
/// a peer or register memory block, each with a deadline; none may be called on a Swift concurrency executor (the
/// module `Moonrail` has `async` forms).
public final class TransferEngine: Sendable {
  /// The name under which peers open this engine's segment: `host:port`, or with a metadata store the local server name.
  public let name: String
  /// The port of the handshake daemon.
  public let rpcPort: UInt16
  /// Where peers reach the handshake daemon: `host:port`, an IPv6 address in brackets.
  public var rpcAddress: String { HostPort(host: publisher.host, port: rpcPort).description }
  /// How long a request has from its submission, before a nanosecond for each byte of its batch is added, in
  /// nanoseconds (`MC_TRANSFER_TIMEOUT`).
  public var transferDeadline: UInt64 { transferTimeout }
  /// The host as discovered: which NICs are near which memory. Empty where no transport is installed.
  public var topology: Topology { fabric?.topology ?? Topology() }
  /// One line about the fabric library in use: version and file. nil where no fabric transport is installed.
  public var fabricLibrary: String? { fabric?.library.summary }

  let gate = Gate()
  private let ending = Ending()
  let batches = BatchTable()
  /// The NICs, where that transport is installed.
  let fabric: EFATransport?
  /// TCP, where that is.
  let tcp: TCPTransport?
  /// What moves the NICs on. Without any it has nothing to do, and callers that wait just sleep.
  let progress: Progress
  let registry: LocalRegistry
  /// Engines on this host; nil where that is turned off, or there is no transport to fall back on.
  let sameHost: SameHost?
  let publisher: DescriptorPublisher
  let segments: SegmentTable
  let identity: LocalIdentity
  let client: HandshakeClient
  let notifications: PendingNotifications
  /// The deadline of every operation, from its submission, in nanoseconds; one is added for each byte of its batch.
  let transferTimeout: UInt64
  /// Where the next submission starts to deal its requests over the rails.
  let turn = Atomic<UInt64>(0)
  /// Whether descriptors are asked for anew whenever they are needed.
  let cachesNoMetadata: Bool
  /// Whether TCP takes memory of this side that is not registered.
  let acceptsUnregisteredMemory: Bool
  /// What the metadata store is told; nil where peers ask us.
  let publication: Publication?
  let logger: Logger

  private let refresher: MetadataRefresher?
  private let inbox: Inbox
  let responder: HandshakeResponder
  private let daemon: HandshakeDaemon
  private let group: MultiThreadedEventLoopGroup

  /// Starts the handshake daemon and installs the transports of `configuration`.
  ///
  /// - Throws: ``TransferError``: a setting that cannot be, no port in the range, no NIC.
  public convenience init(
    _ configuration: Configuration, logger: Logger = Logger(label: "moonrail")
  ) throws(TransferError) {
    try self.init(configuration, library: nil, logger: logger)
  }

  /// The same on a fabric library of the caller's: for tests on a simulated fabric.
  public convenience init(
    _ configuration: Configuration, library: FabricLibrary?, logger: Logger = Logger(label: "moonrail")
  ) throws(TransferError) {
    try self.init(configuration, library: library, hasThreads: true, logger: logger)
  }

  /// - Parameter hasThreads: Whether threads of the engine's own move the rails on when nobody waits. Without them all
  ///   of it is done by whoever waits, in an order that does not depend on the machine: for models.
  package init(
    _ configuration: Configuration, library: FabricLibrary?, hasThreads: Bool, logger: Logger
  ) throws(TransferError) {
    let source: MetadataSource
    do {
      source = try MetadataSource(configuration.metadataServer)
    } catch {
      throw TransferError(.invalidArgument, error.description)
    }
    let settings = Settings(configuration.environment)
    let (options, warnings) = HandshakeOptions.fromEnvironment(configuration.environment)
    let storeOptions = MetadataStoreOptions.fromEnvironment(configuration.environment)
    for warning in settings.warnings + warnings { logger.warning("\(warning)") }
    if source != .peers { for warning in storeOptions.warnings { logger.warning("\(warning)") } }
    var daemonOptions = options
    let address = try EngineAddress(
      configuration, usesStore: source != .peers, options: &daemonOptions, logger: logger)
    if let port = configuration.rpcPort { daemonOptions.portRange = port...port }

    let tcpOptions = Self.tcpOptions(configuration, options, logger: logger)
    let transports = Self.transports(configuration, logger: logger)

    let fabric: EFATransport? =
      transports.contains(.efa)
      ? try EFATransport.open(configuration, settings, library: library, logger: logger) : nil
    let progress = fabric?.progress ?? Progress(rails: [])
    let incarnation = PeerLife.newIncarnation()
    let sameHost =
      settings.sameHost && !transports.isEmpty ? SameHost(incarnation: incarnation, logger: logger) : nil
    let registry = LocalRegistry(
      progress: progress, topology: fabric?.liveTopology ?? LiveTopology(Topology()),
      limits: LocalRegistry.Limits(
        maximumRegionSize: settings.maximumRegionSize, nearNICsOnly: settings.nearNICsOnly,
        inParallel: settings.parallelRegistration),
      sameHost: sameHost, logger: logger)
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let inbox = Inbox()
    let responder = HandshakeResponder(inbox: inbox)
    let daemon: HandshakeDaemon
    do {
      daemon = try HandshakeDaemon(options: daemonOptions, service: responder, group: group, logger: logger)
    } catch {
      registry.closeToNeighbours()
      group.shutdownGracefully { _ in }
      throw TransferError(error)
    }
    var tcp: TCPTransport?
    if transports.contains(.tcp) || (fabric != nil && settings.hasTCPBeside) {
      var server: TCPServer?
      do throws(TransferError) {
        server = try TCPServer(
          registry: registry, incarnation: incarnation, options: tcpOptions, ports: options.portRange, logger: logger)
      } catch {
        guard fabric != nil else {
          daemon.close()
          registry.closeToNeighbours()
          group.shutdownGracefully { _ in }
          throw error
        }
        logger.warning("only peers with a fabric reach this engine: \(error)")
      }
      tcp = TCPTransport(tcpOptions, server: server, logger: logger)
    }
    let name = address.name(port: daemon.port)
    let directory = SegmentDirectory(source, options: storeOptions.options, group: group, logger: logger)
    let client = HandshakeClient(options: options, group: group, logger: logger, locator: directory)
    let rails = fabric?.rails ?? []

    self.name = name
    rpcPort = daemon.port
    self.fabric = fabric
    self.tcp = tcp
    self.progress = progress
    self.registry = registry
    self.sameHost = sameHost
    self.group = group
    self.inbox = inbox
    self.responder = responder
    self.daemon = daemon
    self.client = client
    self.logger = logger
    let identity = LocalIdentity(
      name: name, devices: rails.map(\.device), addresses: rails.map(\.address),
      incarnation: incarnation)
    self.identity = identity
    let segments = SegmentTable(
      source: DescriptorSource(client: client, directory: directory, identity: identity), rails: rails, tcp: tcp,
      sameHost: sameHost)
    self.segments = segments
    cachesNoMetadata = settings.cachesNoMetadata
    acceptsUnregisteredMemory = configuration.acceptsUnregisteredMemory
    notifications = PendingNotifications(client: client, logger: logger)
    transferTimeout = UInt64(settings.transferTimeout) * 1_000_000_000
    let publisher = DescriptorPublisher(
      identity: identity, host: address.host, fabric: fabric, tcp: tcp, registry: registry, sameHost: sameHost)
    self.publisher = publisher
    let hasTransport = fabric != nil || tcp != nil
    publication = directory.map { directory in
      Publication(
        directory, name: name, location: PeerLocation(host: address.host, port: daemon.port),
        publisher: hasTransport ? publisher : nil, logger: logger)
    }
    refresher = settings.refreshInterval > 0 ? MetadataRefresher() : nil
    try refresher?.start(segments, seconds: settings.refreshInterval, logger: logger)
    if hasTransport {
      responder.publish(identity, descriptor: { publisher.encoded(for: .peer) }) { server, incarnation in
        progress.expectPeer()
        if !server.isEmpty, !incarnation.isEmpty { segments.meet(server, incarnation: incarnation) }
      }
      if hasThreads { try progress.start(threads: settings.progressThreads) }
    }
    if let directory {
      try publication?.start(HandshakeClient(options: options, group: group, logger: logger))
      logger.info(
        "Transfer Engine RPC using \(directory.address), listening on \(address.host):\(daemon.port) as \(name)")
    } else {
      logger.info("Transfer Engine RPC using P2P handshake, listening on \(name)")
    }
  }

  deinit { shutdown() }

  /// Stops everything: transfers in flight fail, memory is unregistered, NICs and the daemon are closed. Returns within
  /// seconds, whatever the peers do. Another call does nothing but wait for that, 20 seconds at most: whoever is back may
  /// free memory.
  public func shutdown() {
    guard gate.close() else { return ending.wait(nanoseconds: 20_000_000_000) }
    ending.begin()
    defer { ending.finish() }
    notifications.flush(nanoseconds: 5_000_000_000)
    refresher?.stop()
    // First of all, so that nobody new comes.
    publication?.withdraw()
    responder.withdraw()
    daemon.close()
    progress.stop()
    // Requests that are settled let their callers go, who might submit more on their way out: so once more after.
    for rail in progress.rails { rail.close() }
    tcp?.close()
    sameHost?.stop()
    gate.drain(nanoseconds: 2_000_000_000)
    registry.closeToNeighbours()
    for rail in progress.rails { rail.close() }
    segments.removeAll()
    registry.unregisterAll()
    group.shutdownGracefully { _ in }
  }

  /// The NICs in use, in the order of their keys in the segment descriptor, with what they have done so far.
  public var nics: [NICDescription] {
    guard let fabric else { return [] }
    return zip(fabric.rails, fabric.devices).map { rail, device in
      let counters = rail.counters()
      let offer = rail.domain.offer
      return NICDescription(
        name: rail.device, provider: offer.provider, fabric: offer.fabric, pciAddress: device.pciAddress,
        numaNode: device.numaNode, gid: DescriptorPublisher.gid(of: rail), linkSpeed: device.speed,
        credits: rail.credits, transmitDepth: offer.transmitDepth,
        completionQueueSize: rail.completionQueueSize, isEmulated: rail.isEmulated, transferredBytes: counters.bytes,
        completedOperations: counters.operations, maximumInFlight: counters.maximumInFlight)
    }
  }

  /// What was moved over TCP; nil where that is not installed.
  public var tcpStatistics: TCPStatistics? { tcp?.statistics }

  /// What was moved within the host, by this engine; nil where that is turned off.
  public var sameHostStatistics: SameHostStatistics? { sameHost?.copiers.traffic.counts }

  /// Takes all notifications that have arrived.
  public func takeNotifications() -> [NotificationMessage] { inbox.take() }

  /// Throws an error if there is no transport at all.
  func checkInstalled() throws(TransferError) {
    guard fabric != nil || tcp != nil else {
      throw TransferError(
        .transportNotSupported,
        "No transport is installed: create the engine with `transports: [.efa]` or `transports: [.tcp]`.")
    }
  }

  /// What to install: what the configuration says, unless `MC_FORCE_TCP` is set.
  private static func transports(_ configuration: Configuration, logger: Logger) -> [Configuration.Transport] {
    guard configuration.environment["MC_FORCE_TCP"] != nil, !configuration.transports.isEmpty else {
      return configuration.transports
    }
    logger.info("MC_FORCE_TCP is set: TCP is the only transport")
    return [.tcp]
  }

  private static func tcpOptions(
    _ configuration: Configuration, _ handshake: HandshakeOptions, logger: Logger
  ) -> TCPOptions {
    var options = TCPOptions(configuration.environment)
    for warning in options.warnings { logger.warning("\(warning)") }
    let limit = handshake.connectTimeout.components
    options.connectTimeout = UInt64(max(1, limit.seconds)) * 1_000_000_000
    return options
  }
}
