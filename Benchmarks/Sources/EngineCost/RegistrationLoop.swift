import Fabric
import Logging
import SimulatedFabric
import TransferEngine

/// What registering a buffer of 4 KiB costs, and withdrawing it. An operation is a buffer: that the cost of one is the
/// same among 2,500 and among 10,000 is what shows that the engine's part in it is linear.
let registrationLoops: [Loop] = [
  Loop(name: "register-one-by-one") { try Registrar(nics: 1).oneByOne() },
  Loop(name: "register-one-by-one-16-nics") { try Registrar(nics: 16).oneByOne() },
  Loop(name: "register-batch-16-nics") { try Registrar(nics: 16).atOnce() },
]

/// An engine on a null fabric that registers buffers in an order that jumps about.
final class Registrar {
  private static let stride = 8192

  private let fabric: NullFabric
  private let engine: TransferEngine

  init(nics: Int) throws {
    var options = FabricOptions()
    options.nicCount = nics
    fabric = NullFabric(options)
    var logger = Logger(label: "engine-cost")
    logger.logLevel = .warning
    engine = try TransferEngine(
      Configuration(localServerName: "127.0.0.1", provider: options.providerName, environment: [:]),
      library: FabricLibrary(supplied: fabric.functions, name: "null"), logger: logger)
  }

  func oneByOne() -> Loop.Run {
    { count in
      try self.with(count) { addresses in
        for address in addresses { try self.engine.register(address, length: 4096) }
        for address in addresses { try self.engine.unregister(address) }
      }
    }
  }

  func atOnce() -> Loop.Run {
    { count in
      try self.with(count) { addresses in
        try self.engine.register(addresses.map { BufferEntry($0, length: 4096) })
        try self.engine.unregister(addresses)
      }
    }
  }

  private func with(_ count: Int, _ body: ([UnsafeMutableRawPointer]) throws -> Void) rethrows {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: count * Self.stride, alignment: 4096)
    defer { memory.deallocate() }
    // A step that is a prime and does not divide the count goes to each once.
    let step = [7919, 7907].first { count % $0 != 0 } ?? 1
    try body((0..<count).map { memory + $0 * step % count * Self.stride })
  }
}
