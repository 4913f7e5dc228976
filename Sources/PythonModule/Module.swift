internal import CPython

/// What CPython calls when `mooncake.engine` is imported.
@c public func PyInit_engine() -> UnsafeMutableRawPointer? { UnsafeMutableRawPointer(Module.make()) }

private enum Module {
  private static let name: StaticString = "mooncake.engine"
  private static let doc: StaticString = """
    Mooncake's transfer engine: moves memory between hosts over AWS EFA and TCP.

    This is Moonrail's, with the names, defaults and return codes of Mooncake's own module.
    """

  static func make() -> PythonObject? {
    let functions = Method.table(MissingParts.functions + [SupportFlags.function])
    guard
      let module = PyModule_Create2(
        cpython_module_definition(name.characters, doc.characters, functions), PYTHON_ABI_VERSION)
    else { return nil }
    let result = answer { () throws(PythonException) in
      try fill(module)
      return module
    }
    if result == nil { Py_DecRef(module) }
    return result
  }

  private static func fill(_ module: PythonObject) throws(PythonException) {
    try lookBeside()
    try ModuleTypes.make()
    try LiveEngines.stopAtExit()
    let opcode = try ModuleTypes.get(\.opcode)
    try add(module, "TransferOpcode", opcode)
    for member: StaticString in ["Read", "Write"] {
      guard let value = PyObject_GetAttrString(opcode, member.characters) else { throw PythonException() }
      defer { Py_DecRef(value) }
      try add(module, member, value)
    }
    try add(module, "TransferNotify", try ModuleTypes.get(\.notify))
    try add(module, "InnerTransferEngine", try ModuleTypes.get(\.inner))
    try add(module, "TransferEngine", try ModuleTypes.get(\.transferEngine))
    try add(module, "_TransferError", try ModuleTypes.get(\.transferError))
    try add(module, "_Engine", try ModuleTypes.get(\.native))
    try MissingParts.add(to: module)
    try SupportFlags.add(to: module)
  }

  /// Has Python look for a distribution that owns the same files. Here, because that one's `__init__.py` may have
  /// replaced ours.
  private static func lookBeside() throws(PythonException) {
    if let module = PyImport_ImportModule("mooncake._beside") { return Py_DecRef(module) }
    // Only the extension is there: nobody has installed it, or ours was half removed.
    guard PyErr_ExceptionMatches(cpython_import_error()) != 0 else { throw PythonException() }
    PyErr_Clear()
  }

  private static func add(
    _ module: PythonObject, _ name: StaticString, _ object: PythonObject
  ) throws(PythonException) {
    guard PyModule_AddObjectRef(module, name.characters, object) == 0 else { throw PythonException() }
  }
}
