public import Topology

/// How an engine is to be set up.
public struct Configuration: Sendable {
  /// The ways to move bytes that an engine can install.
  public enum Transport: String, Sendable, CaseIterable {
    /// libfabric: AWS EFA, or a software provider that is named in ``Configuration/provider``.
    case efa
    /// Plain TCP, for hosts and peers without a fabric.
    case tcp
  }

  /// Where segment descriptors are found. `P2PHANDSHAKE`: at their owners. `http://host:port/path`,
  /// `etcd://host:port,host:port`, `redis://host:port`: in that store; without a scheme it is etcd.
  public var metadataServer: String
  /// The name or address under which peers reach this host; a port in it is ignored in `P2PHANDSHAKE`. With a metadata
  /// store it is the engine's whole name.
  public var localServerName: String
  /// The transports to install; empty: none, and only the control plane runs. One that cannot be installed is an
  /// error, never replaced by another. `MC_FORCE_TCP` makes it TCP alone.
  ///
  /// `efa` brings TCP along, unless `MOONRAIL_TCP=0` is set and `tcp` is not named: peers see this engine as `efa`;
  /// those that have a fabric reach it by that, other engines of Moonrail over TCP, and it reaches peers of either kind.
  ///
  /// Host memory of engines on the same host, of the same user and in another process, is copied without any of them,
  /// unless `MOONRAIL_SAME_HOST=0` or `MC_FORCE_TCP` is set.
  public var transports: [Transport]
  /// libfabric's provider. nil: `MOONRAIL_PROVIDER`, or else `efa`, and no other.
  public var provider: String?
  /// Device names to use, comma separated; empty: all. `MC_TE_FILTERS` narrows as well.
  public var deviceFilter: String
  /// The libfabric file to load before all others. nil: `MOONRAIL_LIBFABRIC`, or else the usual places.
  public var libfabricPath: String?
  /// Which NICs are preferred for which memory, in place of what the host and `MC_CUSTOM_TOPO_JSON` say; nil: as they
  /// say. It does not choose the NICs: ``deviceFilter`` does.
  public var topology: Topology?
  /// The port of the handshake daemon; nil: one of the range of `MC_MIN_RPC_PORT` and `MC_MAX_RPC_PORT`.
  public var rpcPort: UInt16?
  /// Whether transfers over TCP may use memory of this side that is not registered, as upstream's do. Nothing waits for
  /// them before such memory goes.
  public var acceptsUnregisteredMemory = false
  /// The environment to read the `MC_*` and `MOONRAIL_*` settings from.
  public var environment: [String: String]

  /// A configuration for `localServerName` that takes everything else from the defaults and the environment.
  public init(
    localServerName: String, metadataServer: String = "P2PHANDSHAKE", transports: [Transport] = [.efa],
    provider: String? = nil, deviceFilter: String = "", libfabricPath: String? = nil,
    environment: [String: String] = ProcessEnvironment.current
  ) {
    self.localServerName = localServerName
    self.metadataServer = metadataServer
    self.transports = transports
    self.provider = provider
    self.deviceFilter = deviceFilter
    self.libfabricPath = libfabricPath
    self.environment = environment
  }
}
