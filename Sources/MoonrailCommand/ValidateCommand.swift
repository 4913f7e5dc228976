internal import ArgumentParser
internal import Glibc
internal import TransferEngine

/// `moonrail validate`: upstream's `transfer_engine_validator`.
struct ValidateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "validate",
    abstract: "Writes random data under load, reads it back and compares.",
    discussion: """
      Takes the flags of transfer_engine_validator. Each thread writes its blocks to the target and reads them back. In \
      its first round, and then in one of 64, it fills the blocks with a random byte before and with zeros in between, \
      and compares what came back. A difference ends the run with exit status 1.

      On the target, which prints the host:port to name on the initiator:
        moonrail validate --mode=target --local_server_name=10.0.0.2
      On the initiator:
        moonrail validate --segment_id=10.0.0.2:15428 --duration=60
      Without an EFA card, on both sides:
        moonrail validate --provider='tcp;ofi_rxm' ...
      """)

  @OptionGroup var options: RunOptions

  func run() throws { try execute() }

  private func execute() throws(CommandFailure) {
    let parameters = try options.checked()
    for warning in parameters.warnings { Output.error(warning) }
    guard parameters.mode == .initiator else { return try TargetRun.run(options, parameters) }
    let run = try InitiatorRun(options, parameters)
    let result = try run.measure(operation: "write+read") { (thread, state) throws(CommandFailure) in
      try Self.work(run, thread: thread, state)
    }
    Output.error(result.line)
    Output.print(parameters.json ? result.json.text : result.summary)
  }

  /// One thread: writes, reads back and, now and then, compares.
  private static func work(
    _ run: InitiatorRun, thread: Int, _ state: RunState
  ) throws(CommandFailure) -> LatencyStatistics {
    let writes = run.requests(.write, thread: thread)
    let reads = run.requests(.read, thread: thread)
    let blocks = (0..<run.parameters.batchSize).map { index in
      run.buffer(of: thread).bytes(
        from: run.parameters.offset(request: index, thread: thread), count: run.parameters.blockSize)
    }
    var latency = LatencyStatistics()
    var isFirst = true
    while !state.isStopped {
      let byte: UInt8? = isFirst || Int.random(in: 0..<64) == 0 ? UInt8.random(in: 1...255) : nil
      isFirst = false
      if let byte { fill(blocks, with: byte) }
      let begin = monotonicNanoseconds()
      try run.session.transfer(writes, timeout: run.parameters.timeout)
      latency.record(monotonicNanoseconds() - begin)
      if byte != nil { fill(blocks, with: 0) }
      try run.session.transfer(reads, timeout: run.parameters.timeout)
      if let byte { try check(blocks, hold: byte, thread: thread) }
      state.countBatch()
    }
    Output.error("Worker \(thread) stopped! Data validation passed")
    return latency
  }

  private static func fill(_ blocks: [UnsafeMutableRawBufferPointer], with byte: UInt8) {
    for block in blocks {
      if let start = block.baseAddress { memset(start, Int32(byte), block.count) }
    }
  }

  private static func check(
    _ blocks: [UnsafeMutableRawBufferPointer], hold byte: UInt8, thread: Int
  ) throws(CommandFailure) {
    for (index, block) in blocks.enumerated() {
      if let at = firstDifference(block, from: byte) {
        throw CommandFailure(
          """
          Detect data integrity problem: thread \(thread), block \(index), byte \(at): wrote \(byte), \
          read \(block[at])
          """)
      }
    }
  }

  /// The first byte of `block` that is not `byte`.
  static func firstDifference(_ block: UnsafeMutableRawBufferPointer, from byte: UInt8) -> Int? {
    guard let start = block.baseAddress, let first = block.first else { return nil }
    if first != byte { return 0 }
    // Equal to itself moved by one, and the first byte right: all bytes right.
    if memcmp(start, start + 1, block.count - 1) == 0 { return nil }
    return block.firstIndex { $0 != byte }
  }
}
