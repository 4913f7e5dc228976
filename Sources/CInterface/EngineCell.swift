internal import DropIn
internal import EngineLog
internal import Logging
internal import Synchronization
internal import TransferEngine

/// What is behind one handle: an engine, which may be replaced once, when a transport is installed in one that was
/// created without any, and what the C interface remembers beside it.
final class EngineCell: Sendable {
  /// Memory that was registered before there was a transport to register it with.
  struct Registration {
    var buffer: BufferEntry
    var location: String
    var access: RemoteAccess
  }

  /// A segment that is open.
  struct Opening {
    var name: String
    var count: Int
  }

  struct State {
    /// Kept until the end, because a caller may still be inside of one.
    var replaced: [DropInEngine] = []
    var registrations: [Registration] = []
    var openings: [Int32: Opening] = [:]
    /// Notifications that a replaced engine had.
    var inbox: [NotificationMessage] = []
    var loads: [String: NICLoad] = [:]
  }

  let configuration: Configuration
  let logger: Logger
  let state = Mutex(State())
  /// Held by whoever installs a transport, which takes seconds.
  let installing = Mutex(())
  /// Whether there is a transport. Once it is, it stays.
  let isInstalled: Atomic<Bool>
  let stopsOnSignals = Atomic<Bool>(false)

  /// The engine of now, retained.
  private let current: Atomic<UInt>

  /// Starts an engine with the transports of `configuration`, of which there may be none.
  init(_ configuration: Configuration) throws(TransferError) {
    self.configuration = configuration
    logger = StandardErrorLog.logger("moonrail")
    isInstalled = Atomic(!configuration.transports.isEmpty)
    let engine = try DropInEngine(configuration, protocolName: nil)
    current = Atomic(UInt(bitPattern: Unmanaged.passRetained(engine).toOpaque()))
  }

  deinit {
    guard let address = UnsafeRawPointer(bitPattern: current.load(ordering: .acquiring)) else { return }
    Unmanaged<DropInEngine>.fromOpaque(address).release()
  }

  /// The engine of now.
  @inline(__always)
  func with<R>(_ body: (DropInEngine) throws(TransferError) -> R) throws(TransferError) -> R {
    guard let address = UnsafeRawPointer(bitPattern: current.load(ordering: .acquiring)) else {
      throw TransferError(.shutDown, "The engine is gone.")
    }
    let result = Unmanaged<DropInEngine>.fromOpaque(address)._withUnsafeGuaranteedRef { engine in
      Result { () throws(TransferError) in try body(engine) }
    }
    return try result.get()
  }

  /// The same, if there is a transport.
  @inline(__always)
  func installed<R>(_ body: (TransferEngine) throws(TransferError) -> R) throws(TransferError) -> R {
    guard isInstalled.load(ordering: .acquiring) else {
      throw TransferError(
        .transportNotSupported,
        "No transport is installed: call installTransport first, or create the engine with auto_discover.")
    }
    return try with { engine throws(TransferError) in try body(try engine.engine) }
  }

  /// Puts another engine in the place of that of now, whose notifications stay.
  func replace(by engine: DropInEngine, _ state: inout State) {
    let old = current.exchange(
      UInt(bitPattern: Unmanaged.passRetained(engine).toOpaque()), ordering: .acquiringAndReleasing)
    guard let address = UnsafeRawPointer(bitPattern: old) else { return }
    let replaced = Unmanaged<DropInEngine>.fromOpaque(address).takeRetainedValue()
    if let engine = try? replaced.engine { state.inbox += engine.takeNotifications() }
    state.replaced.append(replaced)
  }

  /// Stops the engine; later calls fail.
  func shutdown() { try? with { $0.shutdown() } }

  /// Whether this process is a child of the one that the engine belongs to.
  var isForeign: Bool { (try? with { $0.isForeign }) ?? false }
}
