internal import DropIn
internal import Glibc
internal import Logging
internal import Synchronization
internal import Topology
internal import TransferEngine

extension EngineCell {
  /// The names that `installTransport` takes.
  private static let names = ["efa", "tcp", "rdma"]
  /// Failed attempts that an engine may survive, each of which leaves the remains of one.
  private static let attempts = 16

  /// Installs a transport, unless it is there.
  ///
  /// The engine takes its transports when it is created. So one with the transport takes the place of the one without,
  /// on the same port: nobody can have a segment or a batch of that one.
  func install(_ name: String, matrix: String?) throws(TransferError) {
    let outcome = installing.withLock { _ in
      Result { () throws(TransferError) in try installAlone(name, matrix: matrix) }
    }
    try outcome.get()
  }

  private func installAlone(_ name: String, matrix: String?) throws(TransferError) {
    guard Self.names.contains(name) else {
      throw TransferError(
        .transportNotSupported, "There is no transport '\(name)': there are 'efa' and 'tcp', and 'rdma' is taken.")
    }
    guard !isInstalled.load(ordering: .acquiring) else {
      guard try isServed(name) else {
        throw TransferError(
          .transportNotSupported,
          "This engine has its transport, and '\(name)' cannot be added. Install 'efa' first, which brings TCP.")
      }
      logger.warning("transport '\(name)' is installed already")
      return
    }
    guard state.withLock({ $0.replaced.count }) < Self.attempts else {
      throw TransferError(.tooManyRequests, "\(Self.attempts) attempts have failed. Create a new engine.")
    }
    var wanted = configuration
    if let matrix, name != "tcp" { try Self.apply(matrix, to: &wanted) }
    wanted.transports = try ProtocolChoice(name, for: wanted, logger: logger).transports
    if wanted.transports.contains(.efa), !isForced, !ProtocolChoice.hasDevice(wanted) {
      throw TransferError(
        .deviceNotFound,
        "libfabric finds no EFA device here. `moonrail topology` shows what was looked at; without a card, set"
          + " MOONRAIL_PROVIDER to a software provider, or install 'tcp'.")
    }
    try exchange(for: wanted)
  }

  /// Replaces the engine by one that is as `wanted` says, with all memory that is registered; or by one like it, if
  /// that fails.
  private func exchange(for wanted: Configuration) throws(TransferError) {
    let port = try with { engine throws(TransferError) in try engine.engine.rpcPort }
    try with { $0.shutdown() }
    do throws(TransferError) {
      let engine = try Self.start(wanted, on: port)
      // From the copy of the registrations to the end, none may be added.
      let outcome = state.withLock { state in
        Result { () throws(TransferError) in
          for registration in state.registrations {
            try engine.register(
              [registration.buffer], location: registration.location, remoteAccess: registration.access)
          }
          state.registrations = []
          replace(by: engine, &state)
          isInstalled.store(true, ordering: .releasing)
        }
      }
      do throws(TransferError) {
        try outcome.get()
      } catch {
        engine.shutdown()
        throw error
      }
    } catch {
      logger.warning("the engine stays without a transport")
      let engine = try Self.start(configuration, on: port)
      state.withLock { replace(by: engine, &$0) }
      throw error
    }
  }

  /// Starts an engine on a port that another one has just left, which the kernel may notice late.
  private static func start(_ configuration: Configuration, on port: UInt16) throws(TransferError) -> DropInEngine {
    var configuration = configuration
    configuration.rpcPort = port
    var left = 20
    while true {
      do throws(TransferError) {
        return try DropInEngine(configuration, protocolName: nil)
      } catch {
        guard error.code == .socket, left > 0 else { throw error }
        left -= 1
        usleep(100_000)
      }
    }
  }

  /// Whether the transports that there are do what `name` asks for.
  func isServed(_ name: String) throws(TransferError) -> Bool {
    switch name {
    case "efa" where !isForced: try hasFabric()
    case "efa", "tcp", "rdma": isInstalled.load(ordering: .acquiring)
    default: false
    }
  }

  /// Whether everything is TCP, whatever is asked for.
  private var isForced: Bool { configuration.environment["MC_FORCE_TCP"] != nil }

  /// Whether EFA is installed.
  func hasFabric() throws(TransferError) -> Bool {
    try with { engine throws(TransferError) in try engine.engine.fabricLibrary != nil }
  }

  private static func apply(_ matrix: String, to configuration: inout Configuration) throws(TransferError) {
    let topology: Topology
    do {
      topology = try Topology(json: matrix)
    } catch {
      throw TransferError(.invalidArgument, "The topology that installTransport was given is of no use: \(error)")
    }
    var devices: [String] = []
    for location in topology.entries.keys.sorted() {
      guard let entry = topology.entries[location] else { continue }
      for name in entry.preferred + entry.others where !devices.contains(name) { devices.append(name) }
    }
    guard !devices.isEmpty else {
      throw TransferError(.invalidArgument, "The topology that installTransport was given names no NIC.")
    }
    configuration.topology = topology
    configuration.deviceFilter = devices.joined(separator: ",")
  }
}
