/// What a server tells its peers about the memory it serves: where it is and with which keys it is reached.
public struct SegmentDescriptor: Equatable, Sendable {
  /// A NIC of the server.
  public struct Device: Equatable, Sendable {
    /// The NIC's name, as in `rdmap0s2`.
    public var name: String
    /// The InfiniBand LID; 0 on EFA.
    public var lid: UInt32
    /// The NIC's address; on EFA the fabric address in lower-case hexadecimal.
    public var gid: String

    /// A NIC from its parts.
    public init(name: String, lid: UInt32 = 0, gid: String) {
      self.name = name
      self.lid = lid
      self.gid = gid
    }
  }

  /// A registered range of the server's memory.
  public struct Buffer: Equatable, Sendable {
    /// The memory's location (`cpu:0`, `cuda:3`, `*`); for TCP the server's name.
    public var name: String
    /// The range's first address in the server's process.
    public var address: UInt64
    /// Bytes in the range.
    public var length: UInt64
    /// The server's own keys, one for each device; empty for TCP.
    public var localKeys: [UInt64]
    /// The keys that peers use, one for each device in its order; 0 where the range is not registered on that device.
    /// Empty for TCP and for ranges that peers may not use.
    public var remoteKeys: [UInt64]

    /// A range from its parts.
    public init(
      name: String, address: UInt64, length: UInt64, localKeys: [UInt64] = [], remoteKeys: [UInt64] = []
    ) {
      self.name = name
      self.address = address
      self.length = length
      self.localKeys = localKeys
      self.remoteKeys = remoteKeys
    }
  }

  /// The NICs to use for memory at one location.
  public struct Priority: Equatable, Sendable {
    /// Names of the NICs near that memory.
    public var preferred: [String]
    /// Names of the other NICs.
    public var others: [String]

    /// Priorities from the two lists.
    public init(preferred: [String], others: [String] = []) {
      self.preferred = preferred
      self.others = others
    }
  }

  /// The server's name, by which later requests and NIC paths go, whatever name the segment was opened by.
  public var name: String
  /// The transport.
  public var transport: SegmentProtocol
  /// The TCP data listener's port; 0 where there is none. Of other transports than TCP it means something only beside
  /// an ``incarnation``: some peers publish arbitrary numbers there.
  public var tcpDataPort: Int
  /// The TCP data listener's host; `nil` when the peer does not say, then the host of the name that was opened.
  public var tcpDataHost: String?
  /// The version of the TCP data framing, 1 or 2.
  public var tcpProtocolVersion: Int
  /// When the descriptor was written, local time `YYYY-MM-DD HH:MM:SS.uuuuuu`; for people only.
  public var timestamp: String?
  /// Replaces `name` in NIC paths where the server has a separate address for its NICs.
  public var rdmaServerName: String?
  /// The NICs, in the order of the buffers' keys.
  public var devices: [Device]
  /// The registered ranges.
  public var buffers: [Buffer]
  /// The NICs to use by memory location. Empty when the peer sends none, or sends it in a wrong form: no NIC can then
  /// be chosen by location.
  public var priorityMatrix: [String: Priority]
  /// Tells one run of a server from the next under the same name (`moonrail_incarnation`, an extension); `nil` from
  /// other peers.
  public var incarnation: String?
  /// Tells the server's host from others (`moonrail_host`, an extension), if it can be reached by engines on it without a
  /// NIC; they find its socket by the ``incarnation``.
  public var host: String?
  /// The fabric addresses of the server's NICs by device name (`moonrail_nics`, an extension), so that whoever has just
  /// asked the server itself need not ask again to connect; `nil` from other peers, and in a store, which may tell of a
  /// run that is over.
  public var nicAddresses: [String: [UInt8]]?

  /// A descriptor; what is not given is empty, and the TCP version is 2 for TCP and 1 otherwise, as peers expect.
  public init(
    name: String, transport: SegmentProtocol, tcpDataPort: Int = 0, tcpDataHost: String? = nil,
    tcpProtocolVersion: Int? = nil, timestamp: String? = nil, rdmaServerName: String? = nil, devices: [Device] = [],
    buffers: [Buffer] = [], priorityMatrix: [String: Priority] = [:], incarnation: String? = nil,
    host: String? = nil, nicAddresses: [String: [UInt8]]? = nil
  ) {
    self.name = name
    self.transport = transport
    self.tcpDataPort = tcpDataPort
    self.tcpDataHost = tcpDataHost
    self.tcpProtocolVersion = tcpProtocolVersion ?? (transport == .tcp ? 2 : 1)
    self.timestamp = timestamp
    self.rdmaServerName = rdmaServerName
    self.devices = devices
    self.buffers = buffers
    self.priorityMatrix = priorityMatrix
    self.incarnation = incarnation
    self.host = host
    self.nicAddresses = nicAddresses
  }

  /// Whether the segment is also, or only, reached over TCP.
  public var hasTCPListener: Bool {
    switch transport {
    case .tcp: true
    default: incarnation != nil && (1...65_535).contains(tcpDataPort)
    }
  }

  /// The server part of this server's NIC paths.
  public var nicPathServerName: String {
    if let rdmaServerName, !rdmaServerName.isEmpty { return rdmaServerName }
    return name
  }
}
