internal import CPython
internal import TransferEngine

/// The enumeration `TransferOpcode`: an `enum.IntEnum` with the members `Read` and `Write`.
enum Opcode {
  /// The class; borrowed.
  static var type: PythonObject {
    get throws(PythonException) { try ModuleTypes.get(\.opcode) }
  }

  /// A new reference to the class.
  static func make() throws(PythonException) -> PythonObject {
    guard let module = PyImport_ImportModule("enum") else { throw PythonException() }
    defer { Py_DecRef(module) }
    guard let base = PyObject_GetAttrString(module, "IntEnum") else { throw PythonException() }
    defer { Py_DecRef(base) }
    guard let members = PyDict_New() else { throw PythonException() }
    defer { Py_DecRef(members) }
    for (name, opcode) in [("Read", TransferOpcode.read), ("Write", .write)] {
      guard let value = pythonCode(opcode.rawValue) else { throw PythonException() }
      defer { Py_DecRef(value) }
      guard PyDict_SetItemString(members, name, value) == 0 else { throw PythonException() }
    }
    guard let name = pythonText("TransferOpcode"), let arguments = PyTuple_New(2) else { throw PythonException() }
    defer { Py_DecRef(arguments) }
    Py_IncRef(members)
    _ = PyTuple_SetItem(arguments, 0, name)
    _ = PyTuple_SetItem(arguments, 1, members)
    guard let keywords = PyDict_New() else { throw PythonException() }
    defer { Py_DecRef(keywords) }
    guard let place = pythonText("mooncake.engine") else { throw PythonException() }
    defer { Py_DecRef(place) }
    guard PyDict_SetItemString(keywords, "module", place) == 0,
      let type = PyObject_Call(base, arguments, keywords)
    else { throw PythonException() }
    return type
  }

  /// The opcode that an argument means.
  static func value(_ object: PythonObject) throws(PythonException) -> TransferOpcode {
    guard let number = Int32(exactly: try unsigned(object)), let opcode = TransferOpcode(rawValue: number) else {
      throw .typeError("the opcode must be TransferOpcode.Read or TransferOpcode.Write")
    }
    return opcode
  }
}
