internal import ArgumentParser
internal import TransferEngine

/// `moonrail bench`: upstream's `transfer_engine_bench`.
struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Measures transfers between an initiator and a target.",
    discussion: """
      Takes the flags of transfer_engine_bench and prints its result line on standard error; a summary (or, with \
      --json, one object) follows on standard output. Thread t sends batches of --batch_size blocks, one batch at a \
      time, to places of its own. Before the clock starts, all NICs are connected and have moved something.

      --verify proves the transfers: a pattern is sent, fetched back after the run and compared byte for byte. For a \
      read the target's memory is overwritten with the pattern first.

      On the target, which prints the host:port to name on the initiator:
        moonrail bench --mode=target --local_server_name=10.0.0.2
      On the initiator:
        moonrail bench --segment_id=10.0.0.2:15428 --operation=write
      Without an EFA card, on both sides:
        moonrail bench --provider='tcp;ofi_rxm' ...
      """)

  @OptionGroup var options: RunOptions

  @Option(help: "read or write, as the initiator sees it.")
  var operation = "read"

  @Option(help: "classic: the only engine that this build has.")
  var backend = "classic"

  @Flag(inversion: .prefixedNo, exclusivity: .chooseLast, help: "Check every byte after the run.")
  var verify = false

  func run() throws { try execute() }

  private func execute() throws(CommandFailure) {
    try checkBackend()
    let opcode = try checkedOperation()
    let parameters = try options.checked()
    for warning in parameters.warnings { Output.error(warning) }
    switch parameters.mode {
    case .target: try TargetRun.run(options, parameters)
    case .initiator: try initiate(opcode, parameters)
    }
  }

  func checkBackend() throws(CommandFailure) {
    switch backend {
    case "classic": return
    case "tent": throw CommandFailure("error: --backend=tent: this build has the classic engine only")
    default: throw CommandFailure("Unsupported backend: must be 'classic' or 'tent'")
    }
  }

  func checkedOperation() throws(CommandFailure) -> TransferOpcode {
    switch operation {
    case "read": return .read
    case "write": return .write
    default: throw CommandFailure("Unsupported operation: must be 'read' or 'write'")
    }
  }

  private func initiate(_ opcode: TransferOpcode, _ parameters: RunParameters) throws(CommandFailure) {
    let run = try InitiatorRun(options, parameters)
    let verification = verify ? BenchVerification(run, opcode) : nil
    try verification?.prepare()
    try run.useAllNICs(run.requests(opcode, thread: 0))
    var result = try run.measure(operation: operation) { (thread, state) throws(CommandFailure) in
      try Self.work(run, opcode, thread: thread, state)
    }
    Output.error(result.line)
    result.verifiedBytes = try verification?.check()
    Output.print(parameters.json ? result.json.text : result.summary)
  }

  /// One thread: batch after batch until the run is over.
  private static func work(
    _ run: InitiatorRun, _ opcode: TransferOpcode, thread: Int, _ state: RunState
  ) throws(CommandFailure) -> LatencyStatistics {
    let requests = run.requests(opcode, thread: thread)
    var latency = LatencyStatistics()
    while !state.isStopped {
      let begin = monotonicNanoseconds()
      try run.session.transfer(requests, timeout: run.parameters.timeout)
      latency.record(monotonicNanoseconds() - begin)
      state.countBatch()
    }
    Output.error("Worker \(thread) stopped!")
    return latency
  }
}
