internal import Fabric
public import Logging
public import TransferEngine

/// What a protocol name of upstream's interfaces means on this host.
public struct ProtocolChoice: Sendable {
  /// The transports to install.
  public let transports: [Configuration.Transport]

  /// The environment variable that makes a protocol that is served by another one an error.
  public static let strictSetting = "MOONRAIL_STRICT_PROTOCOL"

  /// - Parameters:
  ///   - name: `efa` and `tcp` mean what they say. `rdma`, which most clients send by default, is served by EFA where
  ///     there is a device, and otherwise by TCP, which is logged as a warning; `MOONRAIL_STRICT_PROTOCOL=1` makes it
  ///     an error. With `MC_FORCE_TCP` all three are TCP.
  ///   - configuration: Where the provider and the library are looked for.
  /// - Throws: ``TransferError`` with `invalidArgument` for any other name.
  public init(
    _ name: String, for configuration: Configuration, logger: Logger
  ) throws(TransferError) {
    let environment = configuration.environment
    switch name {
    case "efa":
      transports = [.efa, .tcp]
    case "tcp":
      transports = [.tcp]
    case "rdma" where environment["MC_FORCE_TCP"] != nil:
      transports = [.tcp]
    case "rdma":
      let isStrict = ["1", "true", "yes", "on"].contains(environment[Self.strictSetting]?.lowercased())
      guard !isStrict else {
        throw TransferError(
          .invalidArgument,
          "There is no protocol 'rdma' in this engine, and \(Self.strictSetting) is set: say 'efa' or 'tcp'.")
      }
      if Self.hasDevice(configuration) {
        transports = [.efa, .tcp]
        logger.warning("protocol 'rdma' was asked for: EFA serves it. Say 'efa' to silence this")
      } else {
        transports = [.tcp]
        logger.warning(
          """
          PROTOCOL 'rdma' WAS ASKED FOR, AND TCP SERVES IT, which is far slower: this host has no EFA device that \
          libfabric finds. `moonrail topology` shows what was looked at; say 'tcp' to silence this, or set \
          \(Self.strictSetting)=1 to make it an error
          """)
      }
    default:
      throw TransferError(
        .invalidArgument, "There is no protocol '\(name)' in this engine: it has 'efa' and 'tcp', and takes 'rdma'.")
    }
  }

  /// What to use where nobody names a protocol: EFA, with TCP beside it, where there is a device, otherwise TCP. With
  /// `MC_FORCE_TCP` it is TCP.
  public init(discoveredFor configuration: Configuration) {
    let isForced = configuration.environment["MC_FORCE_TCP"] != nil
    transports = !isForced && Self.hasDevice(configuration) ? [.efa, .tcp] : [.tcp]
  }

  /// Whether libfabric is there and offers a NIC, whatever the filters say of it.
  public static func hasDevice(_ configuration: Configuration) -> Bool { !offers(configuration).isEmpty }

  /// The NICs that libfabric offers; none where there is no libfabric.
  static func offers(_ configuration: Configuration) -> [NICOffer] {
    let environment = configuration.environment
    func named(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
    let provider = configuration.provider ?? named("MOONRAIL_PROVIDER") ?? "efa"
    TransferEngine.looksForGPUs(provider: provider)
    guard
      let library = try? FabricLibrary.load(
        explicitPath: configuration.libfabricPath ?? named("MOONRAIL_LIBFABRIC")),
      let offers = try? ProviderQuery(provider: provider).offers(library)
    else { return [] }
    return offers
  }
}
