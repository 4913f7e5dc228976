internal import EngineLog
public import Logging
internal import Synchronization
public import TransferEngine

/// An engine behind the interfaces that upstream's users know: a segment is named where it is used, a call moves a whole
/// batch and ends when nothing of it moves any more, and memory can be had from the engine.
///
/// All methods may be called from any thread. In a forked child every one of them fails, at once and with a text that
/// says so; a new engine can be made there.
public final class DropInEngine: Sendable {
  let logger: Logger
  /// How long a batch may take before its size is counted, in nanoseconds.
  let timeout: UInt64
  let managed: Mutex<ManagedBuffers>

  /// Held by hand: in a forked child it must not be let go, because that would wait for threads that are not there.
  private let reference: Unmanaged<TransferEngine>
  private let fork = ForkGuard()

  /// Starts an engine as the configuration says; `protocolName` decides its transports by ``ProtocolChoice``, nil: the
  /// configuration's.
  public init(_ configuration: Configuration, protocolName: String?) throws(TransferError) {
    logger = Self.makeLogger()
    var configuration = configuration
    configuration.acceptsUnregisteredMemory = true
    if let protocolName {
      configuration.transports = try ProtocolChoice(protocolName, for: configuration, logger: logger).transports
    }
    let engine = try TransferEngine(configuration, logger: logger)
    timeout = engine.transferDeadline
    managed = Mutex(ManagedBuffers(isShareable: engine.sameHostStatistics != nil))
    reference = Unmanaged.passRetained(engine)
  }

  /// The logger of an engine, for what is to be said where there is none.
  public static func makeLogger() -> Logger { StandardErrorLog.logger("moonrail") }

  deinit {
    guard fork.isSameProcess else { return }
    reference.takeUnretainedValue().shutdown()
    reference.release()
  }

  /// The engine itself.
  ///
  /// - Throws: ``TransferError`` with `shutDown` in a forked child.
  public var engine: TransferEngine {
    get throws(TransferError) {
      guard fork.isSameProcess else {
        throw TransferError(
          .shutDown,
          "This engine belongs to the process that this one was forked from: its threads and NICs stayed there."
            + " Create an engine in this process, or start processes by 'spawn'.")
      }
      return reference.takeUnretainedValue()
    }
  }

  /// Whether this process is a child of the one that the engine belongs to.
  public var isForeign: Bool { !fork.isSameProcess }

  /// Stops the engine; later calls fail. Nothing in a forked child, where there is nothing to stop.
  public func shutdown() {
    guard let engine = try? engine else { return }
    engine.shutdown()
    managed.withLock { $0.removeAll() }
  }

  /// Runs `body` and logs why it fails.
  ///
  /// - Returns: What `body` returns, or the error's negative code.
  public func code(_ what: StaticString, _ body: () throws(TransferError) -> Int32) -> Int32 {
    do throws(TransferError) {
      return try body()
    } catch {
      logger.error("\(what): \(error)")
      return error.resultCode
    }
  }
}
