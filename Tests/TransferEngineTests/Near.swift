import Logging
import Memory
import TestSupport
import Testing
import TransferEngine

/// This side of a transfer: an engine with one registered buffer.
///
/// `@unchecked Sendable`: tests keep to ranges of the buffer of their own.
final class Near: @unchecked Sendable {
  let engine: TransferEngine
  let base: UnsafeMutableRawPointer
  let length: Int
  private let memory: HostBuffer

  /// - Parameter environment: Settings on top of this process's environment.
  init(
    _ fabric: TestFabric, bufferLength: Int = 64 << 20, environment: [String: String] = [:], deviceFilter: String = "",
    isRegistered: Bool = true
  ) throws {
    var logger = Logger(label: "near")
    logger.logLevel = .error
    memory = try HostBuffer(length: bufferLength)
    base = memory.baseAddress
    length = bufferLength
    engine = try TransferEngine(
      Configuration(
        localServerName: "127.0.0.1", provider: fabric.provider, deviceFilter: deviceFilter,
        environment: ProcessEnvironment.current.merging(environment) { $1 }), logger: logger)
    if isRegistered { try engine.register(base, length: length) }
  }

  deinit { engine.shutdown() }

  func fill(seed: UInt64, offset: Int = 0, length: Int, patternOffset: Int = 0) {
    PatternFill.fill(
      UnsafeMutableRawBufferPointer(start: base + offset, count: length), seed: seed, offset: UInt64(patternOffset))
  }

  /// Where the bytes differ from the pattern, counted from `offset`; nil if they do not.
  func mismatch(seed: UInt64, offset: Int = 0, length: Int, patternOffset: Int = 0) -> Int? {
    PatternFill.firstMismatch(
      UnsafeRawBufferPointer(start: base + offset, count: length), seed: seed, offset: UInt64(patternOffset))
  }

  func request(
    _ opcode: TransferOpcode, _ offset: Int, _ target: SegmentID, _ remote: UInt64, _ length: Int
  ) -> TransferRequest {
    TransferRequest(opcode, local: base + offset, target: target, remote: remote, length: length)
  }

  /// Moves `requests` as one batch.
  func transfer(_ requests: [TransferRequest], timeout: Duration = .seconds(60)) throws -> TransferStatus {
    let batch = try engine.allocateBatch(capacity: requests.count)
    try engine.submit(requests, to: batch)
    let status = try engine.wait(for: batch, timeout: timeout)
    try engine.freeBatch(batch)
    return status
  }

  /// Submits and returns the batch, for tests that look at it under way.
  func start(_ requests: [TransferRequest]) throws -> BatchID {
    let batch = try engine.allocateBatch(capacity: requests.count)
    try engine.submit(requests, to: batch)
    return batch
  }
}

/// The code of the error that `body` throws; nil if it throws none or another.
func code(_ body: () throws -> Void) -> TransferError.Code? {
  do {
    try body()
    return nil
  } catch {
    return (error as? TransferError)?.code
  }
}

/// Calls `isMet` until it is true, at most for `limit`. Returns whether it was.
func eventually(within limit: Duration = .seconds(30), _ isMet: () throws -> Bool) rethrows -> Bool {
  let deadline = ContinuousClock.now + limit
  while true {
    if try isMet() { return true }
    guard ContinuousClock.now < deadline else { return false }
    pause()
  }
}
