public import Logging
public import NIOCore
internal import Synchronization
public import Wire

/// Where the engines of a cluster are and what they serve, kept in a store under the keys that all of them know.
///
/// The calls that return no future block, at most for the store's timeout and a moment more, and must not be made on an
/// event loop.
public final class SegmentDirectory: PeerLocator {
  /// What the store is called in log lines.
  public var address: String { store.address }
  /// The longest that one operation of the store may take.
  public var timeout: Duration { store.timeout }

  private let store: any MetadataStore
  private let keys: SegmentKeys
  private let group: any EventLoopGroup
  private let logger: Logger
  private let known = Mutex<[String: HostPort]>([:])

  /// Locations that are remembered; above it all are forgotten and asked for again.
  static let maximumKnown = 1 << 16

  /// The directory of the cluster `clusterID` in `store`.
  public init(store: any MetadataStore, clusterID: String, group: any EventLoopGroup, logger: Logger) {
    self.store = store
    keys = SegmentKeys(clusterID: clusterID)
    self.group = group
    self.logger = logger
  }

  /// The directory that `source` names; nil where there is none, because peers are asked themselves.
  public convenience init?(
    _ source: MetadataSource, options: MetadataStoreOptions, group: any EventLoopGroup, logger: Logger
  ) {
    let store: any MetadataStore
    switch source {
    case .peers: return nil
    case .http(let location): store = HTTPStore(location, group: group)
    case .etcd(let endpoints): store = EtcdStore(endpoints, group: group)
    case .redis(let server): store = RedisStore(server, options: options, group: group)
    }
    self.init(store: store, clusterID: options.clusterID, group: group, logger: logger)
  }

  // MARK: What this engine publishes

  /// Tells where the engine `server` listens.
  ///
  /// Some stores refuse a name that is taken. Where the one who took it is dead, its entry is replaced; `client`, which
  /// must take names for locations, is asked.
  public func publishLocation(of server: String, _ location: PeerLocation, client: HandshakeClient)
    throws(MetadataError)
  {
    let key = keys.location(of: server)
    let value = stored(location.encoded())
    do {
      try put(key, value)
      return
    } catch {
      guard error.code == .keyExists else { throw error }
    }
    let holder = try? ownLocation(server)
    if let holder {
      // A reply that was lost: the entry is ours.
      if holder == location { return }
      let place = HostPort(host: holder.host, port: holder.port).description
      guard isGone(server, at: place, client: client) else {
        throw MetadataError(
          .keyExists, "the name '\(server)' belongs to another engine, which runs at \(place)",
          advice: "give each engine a local server name of its own, or stop the other one")
      }
      logger.warning("the entry of '\(server)' in \(address) is of an engine at \(place) that is gone: replacing it")
    } else {
      logger.warning("the entry of '\(server)' in \(address) cannot be read: replacing it")
    }
    _ = try result { store.remove(key, deadline: $0) }
    try put(key, value)
  }

  private func isGone(_ server: String, at place: String, client: HandshakeClient) -> Bool {
    do {
      // Another engine may have been given the port since.
      return try client.segmentDescriptor(of: place).name != server
    } catch {
      return [.connectFailed, .timedOut, .nameNotResolved, .closedWithoutReply, .unexpectedReply].contains(error.code)
    }
  }

  /// Tells what the engine `server` serves, in the place of what it told before: its descriptor as JSON.
  public func publish(_ descriptor: [UInt8], of server: String) throws(MetadataError) {
    try put(keys.segment(server), stored(descriptor))
  }

  /// Takes back both, unless they are of an engine that came after the one at `location`.
  public func withdraw(_ server: String, _ location: PeerLocation) throws(MetadataError) {
    do {
      let holder = try ownLocation(server)
      guard holder == location else {
        logger.warning("'\(server)' in \(address) belongs to an engine at \(holder.host):\(holder.port) by now")
        return
      }
    } catch {
      // What is missing or broken is removed with the rest; a store that cannot be asked is not waited for again.
      guard [.notFound, .malformedReply, .invalidDescriptor].contains(error.code) else { throw error }
    }
    let keys = keys
    // One deadline for the two: whoever shuts down does not want to wait twice for a store that is gone.
    try result { deadline in
      self.store.remove(keys.location(of: server), deadline: deadline).flatMap { _ in
        self.store.remove(keys.segment(server), deadline: deadline)
      }.map { _ in }
    }
  }

  /// Closes what the store keeps open.
  public func close() { store.close() }

  private func ownLocation(_ server: String) throws(MetadataError) -> PeerLocation {
    let key = keys.location(of: server)
    let value = try result { store.get(key, deadline: $0) }
    return try read(value, key, server) { (body) throws(WireError) in try PeerLocation(decoding: body) }
  }

  private func put(_ key: String, _ value: [UInt8]) throws(MetadataError) {
    try result { store.put(key, value, deadline: $0) }
  }

  private func stored(_ json: [UInt8]) -> [UInt8] { store.valuesEndInNewline ? json : json.dropLast() }

  // MARK: What others published

  /// What the engine `server` serves. Throws `notFound`, `invalidDescriptor`, `malformedReply`, or why the store cannot
  /// be asked.
  public func segmentDescriptor(of server: String) throws(MetadataError) -> SegmentDescriptor {
    let key = keys.segment(server)
    let value = try result { store.get(key, deadline: $0) }
    return try read(value, key, server) { (body) throws(WireError) in try SegmentDescriptor(decoding: body) }
  }

  /// Where `server` is. Throws what ``segmentDescriptor(of:)`` throws.
  public func location(of server: String) throws(MetadataError) -> HostPort {
    try result { _ in location(of: server, fresh: false, on: group.any()) }
  }

  /// Where `server` is. Fails as ``segmentDescriptor(of:)`` does.
  public func location(of server: String, fresh: Bool, on loop: any EventLoop) -> EventLoopFuture<HostPort> {
    if !fresh, let location = known.withLock({ $0[server] }) { return loop.makeSucceededFuture(location) }
    let key = keys.location(of: server)
    return store.get(key, deadline: .now() + store.timeout.timeAmount).hop(to: loop).flatMapThrowing { [self] value in
      let location = try read(value, key, server) { (body) throws(WireError) in try PeerLocation(decoding: body) }
      let place = HostPort(host: location.host, port: location.port)
      known.withLock { known in
        if known.count >= Self.maximumKnown { known = [:] }
        known[server] = place
      }
      return place
    }
  }

  /// The next request to `server` asks the store where it is.
  public func forget(_ server: String) { known.withLock { $0[server] = nil } }

  private func read<Value>(
    _ value: [UInt8]?, _ key: String, _ server: String, _ decode: ([UInt8]) throws(WireError) -> Value
  ) throws(MetadataError) -> Value {
    guard let value else {
      throw MetadataError(
        .notFound, "\(address) has no entry '\(key)'",
        advice: "see whether '\(server)' runs with the same metadata connection string, name and MC_METADATA_CLUSTER_ID"
      )
    }
    do {
      return try decode(value)
    } catch {
      throw MetadataError(
        error.code == .malformedJSON || error.code == .wrongType ? .malformedReply : .invalidDescriptor,
        "the entry '\(key)' in \(address) is broken: \(error.message)",
        advice: "restart '\(server)', or remove the entry if something else has written it")
    }
  }

  /// Waits for an operation with the store's deadline.
  private func result<Value: Sendable>(
    _ start: (NIODeadline) -> EventLoopFuture<Value>
  ) throws(MetadataError) -> Value {
    try checkNotOnEventLoop()
    let limit = store.timeout.timeAmount
    // The future has the deadline itself; the longer wait is for event loops that have stopped.
    switch try wait(for: start(.now() + limit), atMost: limit + .seconds(2)) {
    case .success(let value): return value
    case .failure(let error as MetadataError): throw error
    case .failure(let error):
      throw MetadataError(
        .stopped, "the request to \(address) was not carried out: \(error)",
        advice: "make the call before the engine shuts down")
    case nil:
      throw MetadataError(
        .stopped, "the request to \(address) was not carried out: the event loops do not run",
        advice: "make the call before the engine shuts down")
    }
  }
}
