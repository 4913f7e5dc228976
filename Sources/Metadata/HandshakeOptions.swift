/// Settings of the handshake daemon and of its clients.
public struct HandshakeOptions: Equatable, Sendable {
  /// The ports the daemon draws from (`MC_MIN_RPC_PORT`, `MC_MAX_RPC_PORT`).
  public var portRange: ClosedRange<UInt16> = 15000...17000
  /// Listen on and connect to IPv6 addresses instead of IPv4 ones (`MC_USE_IPV6`). Listening includes IPv4 then.
  public var usesIPv6 = false
  /// The port of a peer whose name has none (`MC_HANDSHAKE_PORT`).
  public var defaultPort: UInt16 = 12001
  /// Connections the kernel holds for the daemon (`MC_HANDSHAKE_LISTEN_BACKLOG`).
  public var listenBacklog: Int32 = 128
  /// The longest accepted frame in bytes, type byte and body (`MC_HANDSHAKE_MAX_LENGTH`).
  public var maximumFrameLength = Self.smallestMaximumFrameLength
  /// How long a client looks up a name and connects, all addresses together (`MC_HANDSHAKE_CONNECT_TIMEOUT`).
  public var connectTimeout: Duration = .seconds(5)
  /// How long the daemon waits for a whole request, and after its reply for the client to close.
  public var requestTimeout: Duration = .seconds(5)
  /// How long a client waits for the whole reply, and the daemon for a client to take it.
  public var replyTimeout: Duration = .seconds(60)
  /// Connections the daemon serves at once. Above it the oldest is closed, those that owe their
  /// request first.
  public var maximumConnections = 1024

  /// The smallest value of `MC_HANDSHAKE_MAX_LENGTH`, and its default: 1 MiB, as in the original engine.
  public static let smallestMaximumFrameLength = 1 << 20
  /// The largest value of `MC_HANDSHAKE_MAX_LENGTH`: 128 MiB, as in the original engine.
  public static let largestMaximumFrameLength = 128 << 20

  /// The defaults of the original engine.
  public init() {}
}
