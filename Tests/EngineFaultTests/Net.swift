import CFabric
import Fabric
import Logging
import Memory
import SimulatedFabric
import Synchronization
import Testing

@testable import TransferEngine

/// Engines on one simulated fabric. They have different names, so each is another host to the others.
final class Net: Sendable {
  let fabric: SimulatedFabric
  private let running: Mutex<[TransferEngine]>

  var engines: [TransferEngine] { running.withLock { $0 } }
  subscript(_ index: Int) -> TransferEngine { engines[index] }

  private init(_ fabric: SimulatedFabric, _ engines: [TransferEngine]) {
    self.fabric = fabric
    running = Mutex(engines)
  }

  /// Runs `body` with engines on a fabric of `options`, shuts them down, and looks whether they have kept the fabric's
  /// rules and left nothing open.
  ///
  /// - Parameter threads: Whether the engines have threads of their own, or nothing moves but by the test's calls.
  static func run(
    _ options: FabricOptions = FabricOptions(), hosts: Int = 2, threads: Bool = true,
    _ environment: [String: String] = [:], sourceLocation: SourceLocation = #_sourceLocation,
    _ body: (Net) throws -> Void
  ) throws {
    let fabric = SimulatedFabric(options)
    try autoreleased {
      let net = Net(fabric, try (0..<hosts).map { _ in try engine(on: fabric, environment, threads: threads) })
      defer { net.shutdown() }
      try body(net)
    }
    let counters = fabric.counters()
    #expect(counters.violations == [], sourceLocation: sourceLocation)
    #expect(counters.openObjects == [:], sourceLocation: sourceLocation)
  }

  private static func autoreleased(_ body: () throws -> Void) throws { try body() }

  static func engine(
    on fabric: SimulatedFabric, _ environment: [String: String] = [:], threads: Bool = true
  ) throws -> TransferEngine {
    try TransferEngine(
      Configuration(
        localServerName: "127.0.0.1", provider: fabric.options.providerName, environment: environment),
      library: FabricLibrary(supplied: fabric.functions, name: "simulated"), hasThreads: threads,
      logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
  }

  /// Shuts all engines down and lets go of them.
  func shutdown() {
    let engines = running.withLock { engines in
      defer { engines = [] }
      return engines
    }
    for engine in engines { engine.shutdown() }
  }
}

/// Memory of a host, with contents that depend on a seed. Kept for ever: after a test that fails, the fabric may still
/// have operations on it.
final class Bytes: Sendable {
  let buffer: HostBuffer
  var start: UnsafeMutableRawPointer { buffer.baseAddress }
  var count: Int { buffer.length }

  init(_ count: Int, seed: UInt8? = nil) throws {
    buffer = try HostBuffer(length: count)
    _ = Unmanaged.passRetained(self)
    if let seed { fill(seed) }
  }

  func fill(_ seed: UInt8) {
    for index in 0..<count { buffer.bytes[index] = Self.value(at: index, seed) }
  }

  /// How many bytes are not those of `seed`.
  func mismatches(_ seed: UInt8, _ range: Range<Int>? = nil) -> Int {
    (range ?? 0..<count).reduce(0) { $0 + (buffer.bytes[$1] == Self.value(at: $1, seed) ? 0 : 1) }
  }

  private static func value(at index: Int, _ seed: UInt8) -> UInt8 {
    UInt8(truncatingIfNeeded: index &* 31 &+ index >> 8) &+ seed | 1
  }
}

extension TransferEngine {
  func register(_ bytes: Bytes) throws { try register(bytes.start, length: bytes.count) }

  /// Submits and waits until everything has settled.
  func transfer(_ requests: [TransferRequest], within: Duration = .seconds(30)) throws -> TransferStatus {
    let batch = try allocateBatch(capacity: requests.count)
    try submit(requests, to: batch)
    let status = try wait(for: batch, timeout: within)
    if status.isFinal { try freeBatch(batch) }
    return status
  }
}

extension TransferRequest {
  /// A piece of `local` to or from the same place in `remote`.
  init(
    _ opcode: TransferOpcode, _ local: Bytes, _ target: SegmentID, _ remote: Bytes, _ range: Range<Int>
  ) {
    self.init(
      opcode, local: local.start + range.lowerBound, target: target,
      remote: UInt64(UInt(bitPattern: remote.start)) + UInt64(range.lowerBound), length: range.count)
  }
}

/// Cuts `count` bytes into pieces of `size`, the last one first: of requests in this order none follows another in
/// memory, and each is an operation.
func pieces(_ count: Int, of size: Int) -> [Range<Int>] {
  stride(from: 0, to: count, by: size).map { $0..<min($0 + size, count) }.reversed()
}

/// Waits for `condition`, which other threads bring about; false if they do not in a long time.
func eventually(_ condition: () throws -> Bool) rethrows -> Bool {
  let deadline = Clock.now + 20_000_000_000
  while try !condition() {
    if Clock.now > deadline { return false }
    Thread.yield()
  }
  return true
}

/// Calls `body` with 0 ..< `count`, each on a thread of its own, and reports what they throw.
func onThreads(
  _ count: Int, sourceLocation: SourceLocation = #_sourceLocation, _ body: @escaping @Sendable (Int) throws -> Void
) throws {
  let box = Box(Mutex<[String]>([]))
  let threads = try (0..<count).map { index in
    JoinableThread(
      try Thread(name: "test-\(index)") {
        do { try body(index) } catch { box.value.withLock { $0.append("\(error)") } }
      })
  }
  for thread in threads { thread.join() }
  #expect(box.value.withLock { $0 } == [], sourceLocation: sourceLocation)
}

/// A noncopyable value that several threads hold.
final class Box<Value: ~Copyable & Sendable>: Sendable {
  let value: Value
  init(_ value: consuming Value) { self.value = value }
}

/// The code of the ``TransferError`` that `body` throws.
func code(_ body: () throws -> Void) -> TransferError.Code? {
  do {
    try body()
    return nil
  } catch {
    return (error as? TransferError)?.code
  }
}

/// The text of the error that `body` throws.
func text(_ body: () throws -> Void) -> String {
  do {
    try body()
    return ""
  } catch {
    return "\(error)"
  }
}
