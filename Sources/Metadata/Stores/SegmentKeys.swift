/// The names of keys, which all engines of a cluster agree on.
public struct SegmentKeys: Equatable, Sendable {
  private let prefix: String

  /// Keys of the cluster `clusterID`; empty: of the only one.
  public init(clusterID: String = "") {
    var prefix = "mooncake/"
    if !clusterID.isEmpty { prefix += clusterID.hasSuffix("/") ? clusterID : clusterID + "/" }
    self.prefix = prefix
  }

  /// Where a server's handshake daemon listens.
  public func location(of server: String) -> String { prefix + "rpc_meta/" + server }

  /// A segment's descriptor. Names with a slash have their place among other kinds of memory in them.
  public func segment(_ name: String) -> String { name.contains("/") ? prefix + name : prefix + "ram/" + name }
}
