internal import CPython

/// The engines of this process, so that those which are alive when the interpreter ends can be stopped: their threads
/// must not outlive it.
///
/// Touched with the interpreter's lock held only.
enum LiveEngines {
  nonisolated(unsafe) private static var states: [ObjectIdentifier: Unmanaged<EngineState>] = [:]

  static func add(_ state: EngineState) { states[ObjectIdentifier(state)] = Unmanaged.passUnretained(state) }

  static func remove(_ state: EngineState) { states[ObjectIdentifier(state)] = nil }

  /// Has all engines stopped by Python's `atexit`. Each takes seconds at most, whatever its peers do.
  static func stopAtExit() throws(PythonException) {
    let methods = Method.table([
      Method("_stop_engines", "_stop_engines()\n--\n\nStops all engines of this process.") { _, _, _, _ in
        for state in LiveEngines.states.values.map({ $0.takeUnretainedValue() }) { state.stop() }
        return pythonNone()
      }
    ])
    guard let module = PyImport_ImportModule("atexit") else { throw PythonException() }
    defer { Py_DecRef(module) }
    guard let register = PyObject_GetAttrString(module, "register") else { throw PythonException() }
    defer { Py_DecRef(register) }
    guard let function = PyCFunction_NewEx(methods, nil, nil) else { throw PythonException() }
    defer { Py_DecRef(function) }
    guard let result = cpython_call(register, function) else { throw PythonException() }
    Py_DecRef(result)
  }
}
