/// What a warm-up did.
public struct WarmupReport: Sendable {
  /// The segment.
  public let segment: String
  /// Pairs of a local and a peer's NIC that are connected now.
  public let connected: Int
  /// Pairs that there are.
  public let pairs: Int
  /// Local NICs.
  public let localNICs: Int
  /// The peer's NICs.
  public let peerNICs: Int
  /// How long it took, in microseconds.
  public let microseconds: Int
}
