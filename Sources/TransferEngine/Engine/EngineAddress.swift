internal import Glibc
internal import Logging
internal import Metadata
internal import Wire

/// Under which name peers know an engine, and on which host they reach its daemon.
struct EngineAddress {
  /// What peers connect to.
  let host: String
  /// The whole name where it does not depend on the daemon's port.
  private let fixedName: String?

  /// - Parameters:
  ///   - usesStore: Whether a metadata store tells peers where a name is. The name is anything then.
  ///   - options: Of the daemon, whose port may have to be that of the name.
  init(
    _ configuration: Configuration, usesStore: Bool, options: inout HandshakeOptions, logger: Logger
  ) throws(TransferError) {
    let given = HostPort.parse(configuration.localServerName)
    guard !given.value.host.isEmpty else {
      throw TransferError(.invalidArgument, "The local server name is empty: give the address that peers reach.")
    }
    if let warning = given.warning { logger.warning("\(warning)") }
    guard usesStore else {
      host = given.value.host
      fixedName = nil
      return
    }
    fixedName = configuration.localServerName
    let environment = configuration.environment
    if environment["MC_LEGACY_RPC_PORT_BINDING"] != nil {
      let port = given.value.port.flatMap { $0 == 0 ? nil : $0 } ?? options.defaultPort
      options.portRange = port...port
      host = given.value.host
    } else if let address = environment["MC_TCP_BIND_ADDRESS"], !address.isEmpty {
      host = HostPort.parse(address).value.host
    } else if Self.isLoopback(given.value.host) {
      host = given.value.host
      logger.info("peers are told to connect to \(host), as the local server name says: only those of this host can")
    } else if let address = Self.firstAddress(usesIPv6: options.usesIPv6) {
      host = address
    } else {
      host = given.value.host
      logger.warning(
        """
        no network interface but loopback is up: peers are told to connect to '\(host)', as the local server name says. \
        Set MC_TCP_BIND_ADDRESS to the address that they reach
        """)
    }
  }

  /// The name of an engine whose daemon listens on `port`.
  func name(port: UInt16) -> String { fixedName ?? HostPort(host: host, port: port).description }

  private static func isLoopback(_ host: String) -> Bool {
    if host == "localhost" || host == "::1" { return true }
    var binary = in_addr()
    return host.hasPrefix("127.") && inet_pton(AF_INET, host, &binary) == 1
  }

  /// The first address of an interface that is up and running and not loopback, in the system's order.
  private static func firstAddress(usesIPv6: Bool) -> String? {
    var list: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&list) == 0 else { return nil }
    defer { freeifaddrs(list) }
    let wanted = UInt32(IFF_UP | IFF_RUNNING)
    var next = list
    while let entry = next?.pointee {
      next = entry.ifa_next
      guard let address = entry.ifa_addr, entry.ifa_flags & wanted == wanted, String(cString: entry.ifa_name) != "lo",
        Int32(address.pointee.sa_family) == (usesIPv6 ? AF_INET6 : AF_INET)
      else { continue }
      let size = usesIPv6 ? MemoryLayout<sockaddr_in6>.size : MemoryLayout<sockaddr_in>.size
      var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
      guard getnameinfo(address, socklen_t(size), &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0 else {
        continue
      }
      let found = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      // Of use only with the interface's name, which differs between hosts.
      if found.hasPrefix("fe80:") { continue }
      return found
    }
    return nil
  }
}
