import Fabric
import Logging
import SimulatedFabric
import TransferEngine

/// The loops that go through the engine: submit to complete, on the null fabric. Each becomes a row of the table.
let engineLoops: [Loop] = [
  Loop(name: "write-batch-128") { try EnginePair(nics: 1, batch: 128, opcode: .write).loop() },
  Loop(name: "read-batch-128") { try EnginePair(nics: 1, batch: 128, opcode: .read).loop() },
  Loop(name: "write-batch-128-8-nics") { try EnginePair(nics: 8, batch: 128, opcode: .write).loop() },
  Loop(name: "write-batch-128-16-nics") { try EnginePair(nics: 16, batch: 128, opcode: .write).loop() },
  Loop(name: "write-batch-128-32-nics") { try EnginePair(nics: 32, batch: 128, opcode: .write).loop() },
  Loop(name: "write-batch-1") { try EnginePair(nics: 1, batch: 1, opcode: .write).loop() },
  Loop(name: "write-batch-128-merged") { try EnginePair(nics: 1, batch: 128, opcode: .write, rising: true).loop() },
]

/// Two engines on one null fabric, and a batch of writes of 64 KiB from one to the other.
final class EnginePair {
  private static let block = 64 << 10

  private let fabric: NullFabric
  private let initiator: TransferEngine
  private let target: TransferEngine
  private let memory: UnsafeMutableRawPointer
  private let requests: UnsafeMutableBufferPointer<TransferRequest>

  /// - Parameter rising: Whether the requests follow one another in memory, so that they are merged. Otherwise each is an
  ///   operation.
  init(nics: Int, batch: Int, opcode: TransferOpcode, rising: Bool = false) throws {
    var options = FabricOptions()
    options.nicCount = nics
    options.transmitDepth = 4096
    options.completionQueueSize = 8192
    fabric = NullFabric(options)
    let library = FabricLibrary(supplied: fabric.functions, name: "null")
    let configuration = Configuration(
      localServerName: "127.0.0.1", provider: options.providerName, environment: [:])
    var logger = Logger(label: "engine-cost")
    logger.logLevel = .warning
    target = try TransferEngine(configuration, library: library, logger: logger)
    initiator = try TransferEngine(configuration, library: library, logger: logger)
    memory = .allocate(byteCount: batch * Self.block, alignment: 4096)
    try target.register(memory, length: batch * Self.block)
    try initiator.register(memory, length: batch * Self.block)
    let segment = try initiator.openSegment(target.name)
    requests = .allocate(capacity: batch)
    for index in 0..<batch {
      let place = memory + (rising ? index : batch - 1 - index) * Self.block
      requests.initializeElement(
        at: index,
        to: TransferRequest(
          opcode, local: place, target: segment, remote: UInt64(UInt(bitPattern: place)), length: Self.block))
    }
    try initiator.warmup(segment: target.name)
  }

  /// Runs at least the given number of operations, in whole batches.
  func loop() -> (Int) throws -> Void {
    { operations in
      for _ in 0..<((operations + self.requests.count - 1) / self.requests.count) {
        let batch = try self.initiator.allocateBatch(capacity: self.requests.count)
        try self.initiator.submit(UnsafeBufferPointer(self.requests), to: batch)
        let status = try self.initiator.wait(for: batch, timeout: .seconds(10))
        guard status.state == .completed else { throw CallFailed(call: "wait", result: Int(status.state.rawValue)) }
        try self.initiator.freeBatch(batch)
      }
    }
  }
}
