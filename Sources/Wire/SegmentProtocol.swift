/// The transport that a segment is served by.
public enum SegmentProtocol: Hashable, Sendable, CustomStringConvertible {
  /// TCP sockets.
  case tcp
  /// AWS EFA over libfabric.
  case efa
  /// A transport that the protocol knows and this implementation does not serve.
  case other(String)

  /// The names that exist beside `tcp` and `efa`.
  public static let otherNames: Set<String> = [
    "rdma", "barex", "cxi", "ub", "nccl", "ascend", "nvlink", "nvlink_intra", "hip", "maca", "musa", "ubshmem",
    "sunrise_link", "cxl", "nvmeof",
  ]

  /// The transport of the given name; `nil` for a name that the protocol does not know.
  public init?(name: String) {
    switch name {
    case "tcp": self = .tcp
    case "efa": self = .efa
    default:
      guard Self.otherNames.contains(name) else { return nil }
      self = .other(name)
    }
  }

  /// The name in a descriptor.
  public var description: String {
    switch self {
    case .tcp: "tcp"
    case .efa: "efa"
    case .other(let name): name
    }
  }

  /// Whether descriptors of this transport list devices, keys and priorities.
  var hasDevices: Bool {
    switch self {
    case .tcp: false
    case .efa: true
    case .other(let name): ["rdma", "barex", "cxi"].contains(name)
    }
  }
}
