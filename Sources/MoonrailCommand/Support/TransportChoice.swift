internal import TransferEngine

/// What `--protocol` and `--provider` say together.
struct TransportChoice {
  let transport: Configuration.Transport
  /// libfabric's provider, where one is named.
  let provider: String?

  /// - Throws: A message for the user, if there is no such protocol here.
  init(protocol name: String, provider: String?) throws(CommandFailure) {
    guard let transport = Configuration.Transport(rawValue: name) else { throw Self.unknown(name) }
    self.transport = transport
    self.provider = provider
  }

  /// What to call it, in a report.
  var label: String { transport == .tcp ? "tcp (no fabric)" : provider ?? "efa" }

  /// The flags that choose it.
  var flags: [String] {
    guard transport == .efa else { return ["--protocol=\(transport.rawValue)"] }
    return ["--protocol=efa"] + (provider.map { ["--provider=\($0)"] } ?? [])
  }

  /// The same for a shell.
  var shellFlags: String {
    guard transport == .efa else { return "--protocol=\(transport.rawValue)" }
    return provider.map { "--provider='\($0)'" } ?? "--protocol=efa"
  }

  private static func unknown(_ name: String) -> CommandFailure {
    let others = ["rdma", "barex", "nvlink", "musa", "maca", "nvlink_intra", "hip", "sunrise_link", "cxi", "ascend"]
    guard others.contains(name) else {
      return CommandFailure("error: --protocol=\(name): there is no such protocol. This build has efa and tcp.")
    }
    return CommandFailure(
      """
      error: --protocol=\(name): this build has efa and tcp only. On a host without an EFA card use --protocol=tcp, or \
      --protocol=efa with --provider='tcp;ofi_rxm' (any network), --provider=shm (two processes of one host) or \
      --provider=sockets.
      """)
  }
}
