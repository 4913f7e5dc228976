internal import CPython
internal import DropIn
internal import Logging
internal import TransferEngine

/// What a Python engine object keeps. Touched with the interpreter's lock held only, which is what protects it.
final class EngineState {
  /// The engine; nil before `initialize`, and after the interpreter's exit has begun.
  private(set) var engine: DropInEngine?
  /// Batches that were started and not yet seen to end, with their bytes.
  var batches: [UInt64: Int] = [:]
  private var isStarting = false

  init() { LiveEngines.add(self) }

  deinit { LiveEngines.remove(self) }

  /// The engine; where there is none, nil and a log line that names the method.
  @inline(__always)
  func engine(for method: StaticString) -> DropInEngine? {
    if let engine { return engine }
    complain("\(method): the engine is not initialized. Call initialize() first, and look at what it returns")
    return nil
  }

  /// Starts the engine. The interpreter's lock is let go meanwhile.
  ///
  /// - Throws: ``TransferError``. The object can be started again then.
  func start(_ configuration: Configuration, protocolName: String) throws(TransferError) {
    guard !isStarting else { throw TransferError(.busy, "Another thread is initializing this engine.") }
    // One of the process that this one was forked from is as good as none.
    if let engine, (try? engine.engine) != nil {
      throw TransferError(
        .busy, "This engine is initialized already, as '\(try engine.engine.name)'. Make another one.")
    }
    isStarting = true
    defer { isStarting = false }
    let result = withoutInterpreter {
      Result { () throws(TransferError) in try DropInEngine(configuration, protocolName: protocolName) }
    }
    engine = try result.get()
    batches = [:]
  }

  /// Stops the engine, if there is one, with the interpreter's lock let go.
  func stop() {
    guard let engine = take() else { return }
    withoutInterpreter { engine.shutdown() }
  }

  /// The engine, which this object forgets.
  func take() -> DropInEngine? {
    defer {
      engine = nil
      batches = [:]
    }
    return engine
  }

  /// Lets go of what an instance held: the last one stops the engine, with the interpreter's lock let go. An engine of
  /// the process that this one was forked from is left as it is.
  static func release(_ instance: PythonObject) {
    guard var state = takePayload(instance, as: EngineState.self) else { return }
    guard isKnownUniquelyReferenced(&state) else { return }
    var engine = state.take()
    guard engine != nil else { return }
    withoutInterpreter { engine = nil }
  }
}

/// Logs what is wrong with a call.
func complain(_ message: String) { logger.error("\(message)") }

private let logger = DropInEngine.makeLogger()
