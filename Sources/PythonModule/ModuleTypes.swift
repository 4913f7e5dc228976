internal import CPython

/// The module's classes, made once for the life of the process.
///
/// Touched with the interpreter's lock held only.
struct ModuleTypes {
  var opcode: PythonObject?
  var notify: PythonObject?
  var inner: PythonObject?
  var transferEngine: PythonObject?
  var native: PythonObject?
  var transferError: PythonObject?

  nonisolated(unsafe) static var all = ModuleTypes()

  /// One of them; borrowed.
  static func get(_ path: KeyPath<ModuleTypes, PythonObject?>) throws(PythonException) -> PythonObject {
    guard let type = all[keyPath: path] else {
      throw PythonException(cpython_runtime_error(), "mooncake.engine was not imported to its end")
    }
    return type
  }

  static var inner: PythonObject { get throws(PythonException) { try get(\.inner) } }

  /// Makes all of them.
  static func make() throws(PythonException) {
    all.opcode = try Opcode.make()
    all.notify = try NotifyType.make()
    all.inner = try makeInner()
    all.transferEngine = try TransferEngineType.make()
    all.transferError = try NativeError.make()
    all.native = try NativeEngineType.make()
  }

  private static func makeInner() throws(PythonException) -> PythonObject {
    try makeType(
      "mooncake.engine.InnerTransferEngine",
      doc: "The engine of a TransferEngine, for other modules to hold on to.",
      new: { _, _, _ in
        answer { () throws(PythonException) in
          throw .typeError("InnerTransferEngine is made by TransferEngine.get_engine()")
        }
      },
      dealloc: { instance in
        guard let instance else { return }
        EngineState.release(instance)
        freeInstance(instance)
      })
  }
}
