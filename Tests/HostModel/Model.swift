import Fabric
import Glibc
import Logging
import SimulatedFabric
import TransferEngine

/// What a model says of one kind of host and one length of blocks.
public struct Prediction: Sendable {
  /// What keeps it from being more.
  public enum Limit: String, Sendable {
    /// The NICs carry 95 % or more of what they can.
    case wire
    /// The cores are busy.
    case software
    /// Neither: the next operation has to wait for an answer.
    case latency
  }

  /// Bytes of a block.
  public var block: Int
  /// Gigabytes (10^9 bytes) per second that leave the host.
  public var rate: Double
  /// What keeps it from being more.
  public var limit: Limit
}

/// A model of a host that writes blocks to another of its kind.
///
/// The engine is the real one: its plan, its rails, its credits and its batches run as they are. Time is not: posting an
/// operation takes a core the time that was measured, carrying it takes a NIC the time of its line rate, and its
/// completion comes a round trip later. One thread does everything, so that the same assumptions give the same figures,
/// to the last digit.
///
/// Left out is what nobody here could measure: the memory and the PCIe of a real host, the packets per second of its
/// NICs, the network between the hosts, other threads that want the same core.
public final class Model {
  /// Failed to be set up, or did not do what a model has to rely on.
  public struct Failure: Error, CustomStringConvertible {
    /// What went wrong.
    public let description: String
  }

  private let host: InstanceType
  private let assumptions: Assumptions
  private let clock: HostClock
  private let fabric: TimedFabric
  private let initiator: TransferEngine
  private let target: TransferEngine
  private let segment: SegmentID
  private let memory: UnsafeMutableRawPointer
  private var order: [Int] = []
  private var position = 0

  /// Addresses for the blocks. There is no memory behind them: nobody touches it.
  private static let memorySize = 1 << 30
  /// Between two blocks, so that none follows on another.
  private static let gap = 4096

  /// Sets up two hosts.
  public init(_ host: InstanceType, _ assumptions: Assumptions) throws {
    guard host.nics > 0, host.lineRate > 0, host.credits > 0, assumptions.batch > 0, assumptions.batchesUnderWay > 0,
      assumptions.batchesMeasured > 0, assumptions.wireEfficiency > 0, assumptions.wireEfficiency <= 1,
      assumptions.instructionsPerNanosecond > 0
    else {
      throw Failure(description: "A model needs NICs, credits, batches and rates above 0, and an efficiency up to 1.")
    }
    self.host = host
    self.assumptions = assumptions
    clock = HostClock(host, assumptions)
    var options = FabricOptions()
    options.nicCount = host.nics
    options.transmitDepth = host.credits
    options.completionQueueSize = max(4096, host.credits)
    fabric = TimedFabric(options, timekeeper: clock)
    let library = FabricLibrary(supplied: fabric.functions, name: "timed")
    let configuration = Configuration(
      localServerName: "127.0.0.1", provider: options.providerName,
      environment: ["MOONRAIL_TCP": "0", "MC_MAX_CQE_PER_CTX": "\(options.completionQueueSize)"])
    let logger = Logger(label: "model") { _ in SwiftLogNoOpLogHandler() }
    func engine() throws(TransferError) -> TransferEngine {
      try TransferEngine(configuration, library: library, hasThreads: false, logger: logger)
    }
    target = try engine()
    initiator = try engine()
    guard
      let memory = mmap(
        nil, Self.memorySize, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), memory != MAP_FAILED
    else {
      throw Failure(description: "There are no addresses for the model's blocks: \(String(cString: strerror(errno)))")
    }
    self.memory = memory
    for engine in [target, initiator] { try engine.register(memory, length: Self.memorySize) }
    segment = try initiator.openSegment(target.name)
    try initiator.warmup(segment: target.name)
    guard initiator.nics.count == host.nics, initiator.nics.allSatisfy({ $0.credits == host.credits }) else {
      throw Failure(description: "The engine does not use the NICs and the credits of the model.")
    }
  }

  deinit {
    initiator.shutdown()
    target.shutdown()
    munmap(memory, Self.memorySize)
  }

  /// What the host writes with blocks of so many bytes.
  public func predict(block: Int) throws -> Prediction {
    try deal(block)
    clock.forget()
    let (underWay, measured) = (assumptions.batchesUnderWay, assumptions.batchesMeasured)
    var batches: [BatchID] = []
    var (start, end): (UInt64, UInt64) = (0, 0)
    // As many again at the end, so that none of those that are measured runs by itself.
    let total = 2 * underWay + measured
    for number in 0..<total {
      if batches.count == underWay {
        try finish(batches.removeFirst())
        if number == 2 * underWay { start = clock.now }
        if number == 2 * underWay + measured - 1 { end = clock.now }
      }
      clock.synchronise()
      batches.append(try submit(block))
    }
    for batch in batches { try finish(batch) }
    let traffic = clock.traffic(from: start, to: end)
    // A picosecond is a thousandth of a nanosecond, and a byte in a nanosecond is a gigabyte in a second.
    let rate = end > start ? traffic.bytes / Double(end - start) * 1000 : 0
    let limit: Prediction.Limit =
      rate >= 0.95 * host.wireRate * assumptions.wireEfficiency ? .wire : traffic.load >= 0.9 ? .software : .latency
    return Prediction(block: block, rate: rate, limit: limit)
  }

  /// Puts the places of the blocks into an order that the seed decides.
  private func deal(_ block: Int) throws {
    let places = block > 0 ? Self.memorySize / (block + Self.gap) : 0
    guard places > 1 else {
      throw Failure(description: "A block of \(block) bytes is none that the model has room for.")
    }
    var generator = ModelGenerator(state: assumptions.seed)
    order = Array(0..<min(places, 1 << 16)).shuffled(using: &generator)
    position = 0
  }

  private func submit(_ block: Int) throws -> BatchID {
    let requests = (0..<assumptions.batch).map { _ in
      let place = memory + order[position] * (block + Self.gap)
      position = (position + 1) % order.count
      return TransferRequest(
        .write, local: place, target: segment, remote: UInt64(UInt(bitPattern: place)), length: block)
    }
    let batch = try initiator.allocateBatch(capacity: requests.count)
    try initiator.submit(requests, to: batch)
    return batch
  }

  private func finish(_ batch: BatchID) throws {
    let status = try initiator.wait(for: batch, timeout: .seconds(60))
    guard status.state == .completed else {
      throw Failure(description: "A batch of the model ended as \(status.state). Use fewer or smaller batches.")
    }
    try initiator.freeBatch(batch)
  }
}

/// The numbers that a seed decides (SplitMix64).
private struct ModelGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
