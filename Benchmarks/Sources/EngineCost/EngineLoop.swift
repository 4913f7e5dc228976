import Fabric
import Logging
import SimulatedFabric
import TransferEngine

/// The loops that go through the engine: submit to complete, on the null fabric. Each becomes a row of the table.
let engineLoops: [Loop] = [
  Loop(name: "write-batch-128") { try EngineLoop(nics: 1, batch: 128, opcode: .write).loop() },
  Loop(name: "read-batch-128") { try EngineLoop(nics: 1, batch: 128, opcode: .read).loop() },
  Loop(name: "write-batch-128-8-nics") { try EngineLoop(nics: 8, batch: 128, opcode: .write).loop() },
  Loop(name: "write-batch-128-16-nics") { try EngineLoop(nics: 16, batch: 128, opcode: .write).loop() },
  Loop(name: "write-batch-128-32-nics") { try EngineLoop(nics: 32, batch: 128, opcode: .write).loop() },
  // To one of a hundred peers after the other, where a thousand are known.
  Loop(name: "write-batch-128-32-nics-crowd") {
    try EngineLoop(nics: 32, batch: 128, opcode: .write, targets: 10, names: 100, activeNames: 10).loop()
  },
  Loop(name: "write-batch-1") { try EngineLoop(nics: 1, batch: 1, opcode: .write).loop() },
  Loop(name: "write-batch-128-merged") { try EngineLoop(nics: 1, batch: 128, opcode: .write, rising: true).loop() },
]

/// An engine and its peers on one null fabric, and batches of requests of 64 KiB from it to them.
final class EngineLoop {
  private static let block = 64 << 10

  private let fabric: NullFabric
  private let initiator: TransferEngine
  private let targets: [TransferEngine]
  /// A batch for each peer that is active.
  private let batches: [UnsafeMutableBufferPointer<TransferRequest>]

  /// - Parameters:
  ///   - rising: Whether the requests follow one another in memory, so that they are merged. Otherwise each is an
  ///     operation.
  ///   - targets: Engines to open.
  ///   - names: Names of each, all of which the initiator knows. To it each is a peer of its own: every address of the
  ///     loopback network leads to the same engine.
  ///   - activeNames: Names of each to which batches go.
  init(
    nics: Int, batch: Int, opcode: TransferOpcode, rising: Bool = false, targets: Int = 1, names: Int = 1,
    activeNames: Int = 1
  ) throws {
    var options = FabricOptions()
    options.nicCount = nics
    options.transmitDepth = 4096
    options.completionQueueSize = 8192
    fabric = NullFabric(options)
    let library = FabricLibrary(supplied: fabric.functions, name: "null")
    let configuration = Configuration(localServerName: "127.0.0.1", provider: options.providerName, environment: [:])
    var logger = Logger(label: "engine-cost")
    logger.logLevel = .warning
    let length = batch * Self.block
    let memory = UnsafeMutableRawPointer.allocate(byteCount: length, alignment: 4096)
    self.targets = try (0..<targets).map { _ in
      let target = try TransferEngine(configuration, library: library, logger: logger)
      try target.register(memory, length: length)
      return target
    }
    initiator = try TransferEngine(configuration, library: library, logger: logger)
    try initiator.register(memory, length: length)
    var batches: [UnsafeMutableBufferPointer<TransferRequest>] = []
    for name in 1...names {
      for target in self.targets {
        let port = target.name.split(separator: ":").last ?? ""
        let segment = try initiator.openSegment("127.0.0.\(name):\(port)")
        guard name <= activeNames else { continue }
        let requests = UnsafeMutableBufferPointer<TransferRequest>.allocate(capacity: batch)
        for index in 0..<batch {
          let place = memory + (rising ? index : batch - 1 - index) * Self.block
          requests.initializeElement(
            at: index,
            to: TransferRequest(
              opcode, local: place, target: segment, remote: UInt64(UInt(bitPattern: place)), length: Self.block))
        }
        batches.append(requests)
      }
    }
    self.batches = batches
    // Connects; after it nothing asks the targets, whose threads would only be counted with the rest.
    for requests in batches { try move(requests) }
    for target in self.targets { target.shutdown() }
  }

  /// Runs at least the given number of operations, in whole batches.
  func loop() -> Loop.Run {
    var next = 0
    return { operations in
      let size = self.batches[0].count
      for _ in 0..<((operations + size - 1) / size) {
        try self.move(self.batches[next])
        next = (next + 1) % self.batches.count
      }
    }
  }

  @inline(__always)
  private func move(_ requests: UnsafeMutableBufferPointer<TransferRequest>) throws {
    let batch = try initiator.allocateBatch(capacity: requests.count)
    try initiator.submit(UnsafeBufferPointer(requests), to: batch)
    let status = try initiator.wait(for: batch, timeout: .seconds(10))
    guard status.state == .completed else { throw CallFailed(call: "wait", result: Int(status.state.rawValue)) }
    try initiator.freeBatch(batch)
  }
}
