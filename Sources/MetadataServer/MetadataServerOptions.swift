/// Settings of the metadata server.
public struct MetadataServerOptions: Equatable, Sendable {
  /// The name or address to listen on.
  public var host = "0.0.0.0"
  /// The port to listen on; 0 for any that is free.
  public var port: UInt16 = 8080
  /// The file that keeps the entries over a restart; `nil`: they are kept in memory only.
  public var persistencePath: String?
  /// Entries above which a new key is refused. Two belong to each engine.
  public var maximumEntries = 1_000_000
  /// The longest value in bytes. The descriptor of an engine with many buffers and NICs has megabytes.
  public var maximumValueBytes = 32 << 20
  /// Bytes of all keys and values above which no value is taken that makes them more.
  public var maximumTotalBytes = 1 << 30
  /// Connections at once. Above it the one that has been idle longest is closed.
  public var maximumConnections = 4096
  /// How long a connection may be idle, and take to send the head of a request.
  public var idleTimeout: Duration = .seconds(75)
  /// How long the body of a request may take, and a client to take a reply.
  public var requestTimeout: Duration = .seconds(30)
  /// How long a connection is kept, after the last reply on it, for the client to close it.
  public var lingerTimeout: Duration = .seconds(2)
  /// How long the connection to an owner of a name may take until the owner counts as dead. Together with
  /// `ownerReplyTimeout` less than the 3 s after which clients give up.
  public var ownerConnectTimeout: Duration = .seconds(1)
  /// How long an owner that took the connection has for its answer; it counts as alive even without.
  public var ownerReplyTimeout: Duration = .seconds(1)
  /// Owners asked at once.
  public var maximumOwnerChecks = 64

  /// The defaults: upstream's address and port, nothing persistent.
  public init() {}
}
