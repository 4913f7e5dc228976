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
  /// The host as discovered: which NICs are near which memory. Empty where no transport is installed.
  public var topology: Topology { fabric?.topology ?? Topology() }
  /// One line about the fabric library in use: version and file. nil where no fabric transport is installed.
  public var fabricLibrary: String? { fabric?.library.summary }

  let gate = Gate()
  let batches = BatchTable()
  let fabric: EFATransport?
  let registry: LocalRegistry?
  let segments: SegmentTable
  let identity: LocalIdentity
  let client: HandshakeClient
  let notifications: PendingNotifications
  /// The deadline of every operation, from its submission, in nanoseconds.
  let transferTimeout: UInt64
  /// Where the next submission starts to deal its requests over the rails.
  let turn = Atomic<UInt64>(0)
  /// Whether descriptors are asked for anew whenever they are needed.
  let cachesNoMetadata: Bool
  /// What the metadata store is told; nil where peers ask us.
  let publication: Publication?
  let logger: Logger

  private let refresher: MetadataRefresher?
  private let inbox: Inbox
  private let responder: HandshakeResponder
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
  public init(
    _ configuration: Configuration, library: FabricLibrary?, logger: Logger = Logger(label: "moonrail")
  ) throws(TransferError) {
    let source: MetadataSource
    do {
      source = try MetadataSource(configuration.metadataServer)
    } catch {
      throw TransferError(.invalidArgument, error.description)
    }
    let settings = Settings(configuration.environment)
    var (options, warnings) = HandshakeOptions.fromEnvironment(configuration.environment)
    let storeOptions = MetadataStoreOptions.fromEnvironment(configuration.environment)
    if source != .peers { warnings += storeOptions.warnings }
    for warning in settings.warnings + warnings { logger.warning("\(warning)") }
    let address = try EngineAddress(configuration, usesStore: source != .peers, options: &options, logger: logger)

    let fabric: EFATransport? =
      configuration.transports.contains(.efa)
      ? try EFATransport.open(configuration, settings, library: library, logger: logger) : nil
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let inbox = Inbox()
    let responder = HandshakeResponder(inbox: inbox)
    let daemon: HandshakeDaemon
    do {
      daemon = try HandshakeDaemon(options: options, service: responder, group: group, logger: logger)
    } catch {
      group.shutdownGracefully { _ in }
      throw TransferError(error)
    }
    let name = address.name(port: daemon.port)
    let directory = SegmentDirectory(source, options: storeOptions.options, group: group, logger: logger)
    let client = HandshakeClient(options: options, group: group, logger: logger, locator: directory)
    let rails = fabric?.rails ?? []

    self.name = name
    rpcPort = daemon.port
    self.fabric = fabric
    self.group = group
    self.inbox = inbox
    self.responder = responder
    self.daemon = daemon
    self.client = client
    self.logger = logger
    let identity = LocalIdentity(
      name: name, devices: rails.map(\.device), addresses: rails.map(\.address),
      incarnation: PeerLife.newIncarnation())
    self.identity = identity
    let segments = SegmentTable(source: DescriptorSource(client: client, directory: directory), rails: rails)
    self.segments = segments
    cachesNoMetadata = settings.cachesNoMetadata
    notifications = PendingNotifications(client: client, logger: logger)
    transferTimeout = UInt64(settings.transferTimeout) * 1_000_000_000
    let registry = fabric.map { fabric in
      LocalRegistry(
        progress: fabric.progress, topology: fabric.topology,
        limits: LocalRegistry.Limits(
          maximumRegionSize: settings.maximumRegionSize, nearNICsOnly: settings.nearNICsOnly,
          inParallel: settings.parallelRegistration),
        logger: logger)
    }
    self.registry = registry
    var publisher: DescriptorPublisher?
    if let fabric, let registry {
      publisher = DescriptorPublisher(
        name: name, incarnation: identity.incarnation, fabric: fabric, registry: registry)
    }
    publication = directory.map { [publisher] directory in
      Publication(
        directory, name: name, location: PeerLocation(host: address.host, port: daemon.port),
        descriptor: publisher.map { publisher in { @Sendable in publisher.descriptor() } }, logger: logger)
    }
    refresher = settings.refreshInterval > 0 ? MetadataRefresher() : nil
    try refresher?.start(segments, seconds: settings.refreshInterval, logger: logger)
    if let fabric, let publisher {
      let progress = fabric.progress
      responder.publish(identity, descriptor: { publisher.encoded() }) { request in
        progress.wake()
        if let incarnation = request.incarnation, let path = NICPath(request.localNICPath) {
          segments.meet(path.server, incarnation: incarnation)
        }
      }
      try progress.start(threads: settings.progressThreads)
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

  /// Stops everything: transfers in flight fail, memory is unregistered, NICs and the daemon are closed. Idempotent.
  /// Returns within seconds, whatever the peers do.
  public func shutdown() {
    guard gate.close() else { return }
    notifications.flush(nanoseconds: 5_000_000_000)
    refresher?.stop()
    // First of all, so that nobody new comes.
    publication?.withdraw()
    responder.withdraw()
    daemon.close()
    if let fabric {
      fabric.progress.stop()
      // Requests that are settled let their callers go, who might submit more on their way out: so once more after.
      for rail in fabric.rails { rail.close() }
      gate.drain(nanoseconds: 2_000_000_000)
      for rail in fabric.rails { _ = rail.drive(now: Clock.now) }
      segments.removeAll()
      registry?.unregisterAll()
    }
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
        numaNode: device.numaNode, credits: rail.credits, transmitDepth: offer.transmitDepth,
        completionQueueSize: rail.completionQueueSize, isEmulated: rail.isEmulated, transferredBytes: counters.bytes,
        completedOperations: counters.operations, maximumInFlight: counters.maximumInFlight)
    }
  }

  /// Takes all notifications that have arrived.
  public func takeNotifications() -> [NotificationMessage] { inbox.take() }

  /// The installed fabric, or an error that says that there is none.
  func installed() throws(TransferError) -> (EFATransport, LocalRegistry) {
    guard let fabric, let registry else {
      throw TransferError(
        .transportNotSupported, "No transport is installed: create the engine with `transports: [.efa]`.")
    }
    return (fabric, registry)
  }
}
