internal import TransferEngine

/// Workers that keep a target busy for a while, as `bench` and `validate` do.
struct InitiatorRun {
  let parameters: RunParameters
  let session: EngineSession
  let segment: SegmentID
  let target: SegmentDescription
  let warmupMilliseconds: Double
  private let signals: StopSignals

  /// Starts an engine, opens the target and connects to it.
  init(_ options: RunOptions, _ parameters: RunParameters) throws(CommandFailure) {
    self.parameters = parameters
    signals = StopSignals()
    let session = try EngineSession(
      try options.configuration(), nodes: numaNodes(), bufferSize: parameters.bufferSize,
      byte: parameters.fillsMemory ? 0xCC : 0, kind: options.memoryKind)
    self.session = session
    let begin = monotonicNanoseconds()
    (segment, target) = try orFail { () throws(TransferError) in
      let segment = try session.engine.openSegment(parameters.segment)
      let target = try session.engine.describe(segment)
      try session.engine.warmup(segment: parameters.segment)
      return (segment, target)
    }
    warmupMilliseconds = Double(monotonicNanoseconds() - begin) / 1e6
    try Self.check(target, holds: parameters)
  }

  private static func check(_ target: SegmentDescription, holds parameters: RunParameters) throws(CommandFailure) {
    guard !target.buffers.isEmpty else {
      throw CommandFailure("error: \(target.name) has no memory registered: is it a target of this command?")
    }
    for buffer in target.buffers.prefix(parameters.threads) where buffer.length < UInt64(parameters.requiredSize) {
      throw CommandFailure(
        """
        error: a buffer of \(target.name) has \(buffer.length) bytes, and block_size x batch_size x threads is \
        \(parameters.requiredSize). Start the target with --buffer_size=\(parameters.requiredSize) or more.
        """)
    }
  }

  /// The buffer of this process that `thread` uses.
  func buffer(of thread: Int) -> HostMemory { session.buffers[thread % session.buffers.count] }

  /// A batch of `thread`: each request at its offset, the same on both sides.
  func requests(_ opcode: TransferOpcode, thread: Int) -> [TransferRequest] {
    let local = buffer(of: thread)
    let remote = target.buffers[thread % target.buffers.count]
    return (0..<parameters.batchSize).map { index in
      let offset = parameters.offset(request: index, thread: thread)
      return TransferRequest(
        opcode, local: local.baseAddress + offset, target: segment, remote: remote.address + UInt64(offset),
        length: parameters.blockSize)
    }
  }

  /// Moves a batch until every NIC has had a part of it: software providers connect with the first operation only.
  ///
  /// Batches go on with the NIC after the one where the last has ended, and up to sixteen requests that are neighbours
  /// become one operation.
  func useAllNICs(_ requests: [TransferRequest]) throws(CommandFailure) {
    let nics = session.engine.nics.count
    let rounds = max(1, min(nics, (16 * nics + requests.count - 1) / max(1, requests.count)))
    for _ in 0..<rounds { try session.transfer(requests, timeout: parameters.timeout) }
  }

  /// Runs `worker` in as many threads as asked for until the time is over, a worker fails, or a signal comes.
  func measure(
    operation: String, _ worker: @escaping @Sendable (Int, RunState) throws(CommandFailure) -> LatencyStatistics
  ) throws(CommandFailure) -> BenchResult {
    let state = RunState()
    let before = EngineCounters(session.engine)
    let processorBefore = ProcessUsage.processorSeconds()
    let begin = monotonicNanoseconds()
    var threads: [WorkerThread] = []
    for thread in 0..<parameters.threads {
      do throws(CommandFailure) {
        threads.append(
          try WorkerThread {
            do throws(CommandFailure) {
              state.add(try worker(thread, state))
            } catch {
              state.fail(error)
            }
          })
      } catch {
        state.fail(error)
        break
      }
    }
    waitForEnd(state, begin: begin)
    state.stop()
    for thread in threads { thread.join() }
    let seconds = Double(monotonicNanoseconds() - begin) / 1e9
    let processor = ProcessUsage.processorSeconds() - processorBefore
    return BenchResult(
      operation: operation, segment: parameters.segment, parameters: parameters, seconds: seconds,
      batches: state.batches, latency: try state.outcome(), processorSeconds: processor,
      shares: BenchResult.shares(before: before, after: EngineCounters(session.engine)),
      warmupMilliseconds: warmupMilliseconds, verifiedBytes: nil, library: session.engine.fabricLibrary,
      provider: session.engine.nics.first?.provider ?? "tcp (no fabric)")
  }

  private func waitForEnd(_ state: RunState, begin: UInt64) {
    let end = begin + UInt64(parameters.seconds) * 1_000_000_000
    var progress = ProgressLine(parameters, begin: begin)
    while !state.isStopped {
      let now = monotonicNanoseconds()
      guard now < end else { break }
      if signals.wait(milliseconds: Int(min(250, (end - now) / 1_000_000 + 1))) { break }
      progress.update(batches: state.batches)
    }
    progress.clear()
  }
}
