internal import ArgumentParser
internal import TransferEngine

/// `moonrail probe`: upstream's `efa_first_submit_probe`.
struct ProbeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "probe",
    abstract: "Times the first transfers to a target, with and without warm-up.",
    discussion: """
      Takes the flags of efa_first_submit_probe. The initiator writes the same block --iters times, one at a time, and \
      prints how long each took; --warmup=false shows what the first one pays for connecting. --verify sends other bytes \
      each time, fetches them back after it and compares them, outside of the time that is printed.

      On the target, which prints the host:port to name on the initiator:
        moonrail probe --mode=target --local_server_name=10.0.0.2
      On the initiator:
        moonrail probe --segment_id=10.0.0.2:15428 --warmup=false
      Without an EFA card, on both sides:
        moonrail probe --protocol=tcp ...
        moonrail probe --provider='tcp;ofi_rxm' ...
      """)

  @Option(help: "initiator or target.")
  var mode = "initiator"

  @Option(
    help: """
      Where segments are found: P2PHANDSHAKE (at their owners), http://host:port/path, etcd://host:port[,host:port...] \
      or redis://host:port.
      """)
  var metadataServer = "P2PHANDSHAKE"

  @Option(help: "The name or address under which peers reach this host.")
  var localServerName = "\(localHostName()):12345"

  @Option(help: "The target, as it printed it: host:port, or its name in the metadata store.")
  var segmentId = ""

  @Flag(inversion: .prefixedNo, exclusivity: .chooseLast, help: "Connect all NICs before the first transfer.")
  var warmup = true

  @Option(help: "Transfers.")
  var iters = 5

  @Option(help: "Bytes of a transfer.")
  var xferSize = 1_048_576

  @Option(help: "Bytes to register.")
  var bufferSize = 1_073_741_824

  @Option(name: .customLong("protocol"), help: "efa: AWS EFA, or the provider that --provider names. tcp: plain TCP.")
  var transport = "efa"

  @Option(help: "libfabric's provider: efa, 'tcp;ofi_rxm', shm, sockets. Default: MOONRAIL_PROVIDER, or else efa.")
  var provider: String?

  @Option(help: "Use these NICs only, comma separated. Default: all.")
  var deviceName = ""

  @Option(help: "Seconds after which a transfer that is not complete is an error.")
  var timeout = 60

  @Flag(inversion: .prefixedNo, exclusivity: .chooseLast, help: "Check every byte of every transfer after it.")
  var verify = false

  @OptionGroup var neighbours: SameHostOptions

  func run() throws { try execute() }

  private func execute() throws(CommandFailure) {
    guard mode == "initiator" || mode == "target" else {
      throw CommandFailure("Unsupported mode: must be 'initiator' or 'target'")
    }
    for (name, value) in [("xfer_size", xferSize), ("buffer_size", bufferSize), ("timeout", timeout)] where value < 1 {
      throw CommandFailure("error: --\(name)=\(value): must be at least 1")
    }
    guard iters >= 0 else { throw CommandFailure("error: --iters=\(iters): must not be negative") }
    guard xferSize <= bufferSize else { throw CommandFailure("error: --xfer_size is larger than --buffer_size") }
    if mode == "initiator" && segmentId.isEmpty {
      throw CommandFailure("error: --segment_id is missing: the host:port that the target printed as addr=")
    }
    let choice = try TransportChoice(protocol: transport, provider: provider)
    let signals = StopSignals()
    let session = try EngineSession(
      neighbours.applied(
        to: Configuration(
          localServerName: localServerName, metadataServer: metadataServer, transports: [choice.transport],
          provider: choice.provider, deviceFilter: deviceName)),
      nodes: Array(numaNodes().prefix(1)), bufferSize: bufferSize)
    if mode == "target" {
      Output.print("[target] ready, addr=\(session.engine.name)")
      Output.print("[target] Ctrl-C to stop")
      while !signals.wait(milliseconds: 1000) {}
    } else {
      try initiate(session, signals)
    }
    session.engine.shutdown()
  }

  private func initiate(_ session: EngineSession, _ signals: StopSignals) throws(CommandFailure) {
    Output.print(
      "[initiator] peer=\(segmentId) warmup=\(warmup ? "ON" : "OFF") iters=\(iters) xfer_size=\(xferSize)")
    let engine = session.engine
    let (segment, buffer) = try orFail { () throws(TransferError) in
      let segment = try engine.openSegment(segmentId)
      return (segment, try engine.describe(segment).buffers.first)
    }
    guard let buffer, buffer.length >= UInt64(xferSize) else {
      throw CommandFailure("error: \(segmentId) has no buffer of \(xferSize) bytes")
    }
    if warmup {
      let begin = monotonicNanoseconds()
      var failure: TransferError?
      do {
        try engine.warmup(segment: segmentId)
      } catch {
        failure = error
      }
      Output.print("warmup: \(Self.milliseconds(since: begin)) ms (rc=\(failure.map { -$0.code.rawValue } ?? 0))")
      if let failure { throw CommandFailure(failure) }
    }
    let request = TransferRequest(
      .write, local: session.buffers[0].baseAddress, target: segment, remote: buffer.address, length: xferSize)
    let verification = verify ? try ProbeVerification(session, request, timeout: .seconds(timeout)) : nil
    for index in 0..<iters {
      verification?.prepare(transfer: index)
      let begin = monotonicNanoseconds()
      try session.transfer([request], timeout: .seconds(timeout))
      Output.print("submit #\(index): \(Self.milliseconds(since: begin)) ms")
      try verification?.check(transfer: index)
      if signals.wait(milliseconds: 0) { return }
    }
    if verify { Output.print("verified: \(iters) transfers, every byte arrived") }
  }

  private static func milliseconds(since begin: UInt64) -> String {
    (Double(monotonicNanoseconds() - begin) / 1e6).fixed(3)
  }
}
