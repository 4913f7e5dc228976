internal import CPython
internal import TransferEngine

/// The exception class `moonrail.TransferError`.
enum NativeError {
  static func make() throws(PythonException) -> PythonObject {
    let name: StaticString = "moonrail.TransferError"
    let doc: StaticString = """
      Why the engine refused or could not do something, and what to do about it.

      code: Mooncake's number for the kind of error, positive.
      """
    guard let type = PyErr_NewExceptionWithDoc(name.characters, doc.characters, cpython_runtime_error(), nil) else {
      throw PythonException()
    }
    return type
  }

  /// Sets the exception for `error`.
  static func raise(_ error: TransferError) -> PythonException {
    guard let type = try? ModuleTypes.get(\.transferError), let message = pythonText("\(error)") else {
      return PythonException()
    }
    defer { Py_DecRef(message) }
    guard let instance = cpython_call(type, message) else { return PythonException() }
    defer { Py_DecRef(instance) }
    guard let code = pythonCode(error.code.rawValue) else { return PythonException() }
    defer { Py_DecRef(code) }
    guard PyObject_SetAttrString(instance, "code", code) == 0 else { return PythonException() }
    PyErr_SetObject(type, instance)
    return PythonException()
  }
}
