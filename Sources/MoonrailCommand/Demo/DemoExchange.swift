internal import EngineLog
internal import Memory
internal import TransferEngine

/// Rounds of: a new pattern, written to the target, read back into other memory, compared.
final class DemoExchange {
  /// One direction's figures.
  struct Leg {
    var bytes = 0
    var nanoseconds: UInt64 = 0
    var latency = LatencyStatistics()
  }

  let plan: DemoPlan
  let nics: [NICDescription]
  /// How it moves its bytes.
  let choice: TransportChoice
  let library: String?
  let names: (initiator: String, target: String)
  private(set) var writes = Leg()
  private(set) var reads = Leg()
  private(set) var verifiedBytes = 0
  private(set) var warmupNanoseconds: UInt64 = 0
  private var roundsDone = 0
  private let session: EngineSession
  private let source: HostMemory
  private let destination: HostMemory
  private let segment: SegmentID
  private let remote: UInt64
  private let timeout: Duration
  private let seed = UInt64.random(in: 1..<(.max / 2))
  private var progress = DemoProgress()

  /// Starts an engine and connects it to `target`.
  init(
    plan: DemoPlan, _ choice: TransportChoice, _ neighbours: SameHostOptions, target: String, timeout: Duration
  ) throws(CommandFailure) {
    self.plan = plan
    self.choice = choice
    self.timeout = timeout
    let session = try EngineSession(
      neighbours.applied(
        to: Configuration(localServerName: "127.0.0.1", transports: [choice.transport], provider: choice.provider)),
      nodes: [0], bufferSize: plan.bufferSize,
      logger: StandardErrorLog.quietLogger("moonrail"))
    self.session = session
    source = session.buffers[0]
    destination = try session.makeBuffer(length: plan.bufferSize)
    let begin = monotonicNanoseconds()
    let (segment, buffer) = try orFail { () throws(TransferError) in
      let segment = try session.engine.openSegment(target)
      try session.engine.warmup(segment: target)
      return (segment, try session.engine.describe(segment).buffers.first)
    }
    guard let buffer, buffer.length >= UInt64(plan.bufferSize) else {
      throw CommandFailure("error: the target did not publish its memory")
    }
    warmupNanoseconds = monotonicNanoseconds() - begin
    self.segment = segment
    remote = buffer.address
    nics = session.engine.nics
    library = session.engine.fabricLibrary
    names = (session.engine.name, target)
  }

  var hasMore: Bool { roundsDone < plan.rounds }

  /// One round.
  func round() throws(CommandFailure) {
    let seed = seed &+ UInt64(roundsDone)
    PatternFill.fill(source.bytes(count: plan.bufferSize), seed: seed, offset: 0)
    try move(.write, source, &writes)
    // Whatever the last round left here is of another seed, and would not pass.
    try move(.read, destination, &reads)
    let arrived = UnsafeRawBufferPointer(destination.bytes(count: plan.bufferSize))
    if let at = PatternFill.firstMismatch(arrived, seed: seed, offset: 0) {
      throw CommandFailure("Detect data integrity problem: byte \(at) of round \(roundsDone) came back changed")
    }
    verifiedBytes += plan.bufferSize
    roundsDone += 1
    progress.show(round: roundsDone, of: plan.rounds)
  }

  /// Whether it was moved by copies within the host.
  var isDirect: Bool { (session.engine.sameHostStatistics?.operations ?? 0) > 0 }

  /// Ends the engine, before the target does.
  func close() {
    progress.clear()
    session.engine.shutdown()
  }

  private func move(_ opcode: TransferOpcode, _ memory: HostMemory, _ leg: inout Leg) throws(CommandFailure) {
    let step = plan.blockSize * plan.batchSize
    for start in stride(from: 0, to: plan.bufferSize, by: step) {
      let requests = stride(from: start, to: min(start + step, plan.bufferSize), by: plan.blockSize).map { offset in
        TransferRequest(
          opcode, local: memory.baseAddress + offset, target: segment, remote: remote + UInt64(offset),
          length: plan.blockSize)
      }
      let begin = monotonicNanoseconds()
      try session.transfer(requests, timeout: timeout)
      let nanoseconds = monotonicNanoseconds() - begin
      leg.latency.record(nanoseconds)
      leg.nanoseconds += nanoseconds
      leg.bytes += requests.count * plan.blockSize
    }
  }
}

/// How far the demo is, where a person watches.
private struct DemoProgress {
  private let isShown = Output.errorIsTerminal

  func show(round: Int, of rounds: Int) {
    if isShown { Output.errorText("\r\u{1B}[Kround \(round) of \(rounds)") }
  }

  func clear() {
    if isShown { Output.errorText("\r\u{1B}[K") }
  }
}
