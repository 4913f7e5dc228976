internal import Logging
internal import Synchronization
internal import TransferEngine

/// An engine with the buffers it has registered. The engine is shut down before the memory goes.
final class EngineSession: Sendable {
  let engine: TransferEngine
  let buffers: [HostMemory]
  /// What ``makeBuffer(length:)`` made: a transfer that was given up may still write there until the engine is shut down.
  private let others = Mutex<[HostMemory]>([])

  /// Starts an engine and registers a buffer of `bufferSize` bytes for each of the host's NUMA nodes in `nodes`.
  init(
    _ configuration: Configuration, nodes: [Int], bufferSize: Int, byte: UInt8 = 0, kind: MemoryKind = MemoryKind(),
    logger: Logger = Logger(label: "moonrail")
  ) throws(CommandFailure) {
    let engine = try orFail { () throws(TransferError) in try TransferEngine(configuration, logger: logger) }
    self.engine = engine
    do throws(CommandFailure) {
      var buffers: [HostMemory] = []
      for node in nodes {
        buffers.append(try HostMemory(length: bufferSize, node: node, byte: byte, kind: kind))
      }
      for buffer in buffers { try Self.register(buffer, with: engine) }
      self.buffers = buffers
    } catch {
      engine.shutdown()
      throw error
    }
  }

  deinit { engine.shutdown() }

  /// Another buffer, registered for transfers, which lives as long as the session.
  func makeBuffer(length: Int) throws(CommandFailure) -> HostMemory {
    let buffer = try HostMemory(length: length)
    try Self.register(buffer, with: engine)
    others.withLock { $0.append(buffer) }
    return buffer
  }

  private static func register(_ buffer: HostMemory, with engine: TransferEngine) throws(CommandFailure) {
    try orFail { () throws(TransferError) in
      try engine.register(
        buffer.baseAddress, length: buffer.length, location: buffer.node.map { "cpu:\($0)" } ?? "*")
    }
  }

  /// Moves `requests` as one batch, and returns when all of their bytes are where they belong.
  func transfer(_ requests: [TransferRequest], timeout: Duration) throws(CommandFailure) {
    try requests.withUnsafeBufferPointer { (requests) throws(CommandFailure) in
      try transfer(requests, timeout: timeout)
    }
  }

  /// Moves `requests` as one batch, and returns when all of their bytes are where they belong.
  func transfer(_ requests: UnsafeBufferPointer<TransferRequest>, timeout: Duration) throws(CommandFailure) {
    let status: TransferStatus
    do throws(TransferError) {
      let batch = try engine.allocateBatch(capacity: requests.count)
      try engine.submit(requests, to: batch)
      status = try engine.wait(for: batch, timeout: timeout)
      if status.state == .completed { try engine.freeBatch(batch) }
    } catch {
      throw CommandFailure(error)
    }
    if status.state != .completed { throw CommandFailure.unfinished(status, of: requests, timeout: timeout) }
  }
}

extension CommandFailure {
  /// A batch that ended otherwise than complete, or did not end.
  fileprivate static func unfinished(
    _ status: TransferStatus, of requests: UnsafeBufferPointer<TransferRequest>, timeout: Duration
  ) -> CommandFailure {
    let bytes = requests.reduce(0) { $0 + $1.length }
    let moved = "\(status.transferredBytes) of \(bytes) bytes were moved"
    switch status.state {
    case .waiting: return CommandFailure("FAILED: a batch took longer than \(timeout.components.seconds) s; \(moved)")
    case .timedOut: return CommandFailure("FAILED: a batch missed the engine's deadline; \(moved)")
    case .failed, .completed: return CommandFailure("FAILED: a batch failed; \(moved)")
    }
  }
}
