internal import CPython

/// What Mooncake's module has and this one does not. The names are there, so that an import of several works; making
/// one raises an exception that says what is missing.
enum MissingParts {
  static func add(to module: PythonObject) throws(PythonException) {
    try add(to: module, "RpcInterface", "mooncake.engine.RpcInterface") { _, _, _ in MissingParts.refuse("RpcInterface")
    }
    try add(to: module, "ReceivedData", "mooncake.engine.ReceivedData") { _, _, _ in MissingParts.refuse("ReceivedData")
    }
    try add(to: module, "ReceivedTensor", "mooncake.engine.ReceivedTensor") { _, _, _ in
      MissingParts.refuse("ReceivedTensor")
    }
    try add(to: module, "SharedSegment", "mooncake.engine.SharedSegment") { _, _, _ in
      MissingParts.refuse("SharedSegment")
    }
    guard let interface = PyObject_GetAttrString(module, "RpcInterface") else { throw PythonException() }
    defer { Py_DecRef(interface) }
    guard PyModule_AddObjectRef(module, "CoroRPCInterface", interface) == 0 else { throw PythonException() }
  }

  /// The functions among them.
  static var functions: [Method] {
    [
      Method("create_rpc_client", "create_rpc_client(*arguments)\n--\n\nNot there: raises NotImplementedError.") {
        _, _, _, _ in MissingParts.refuse("create_rpc_client()")
      },
      Method("create_rpc_server", "create_rpc_server(*arguments)\n--\n\nNot there: raises NotImplementedError.") {
        _, _, _, _ in MissingParts.refuse("create_rpc_server()")
      },
    ]
  }

  private static func add(
    to module: PythonObject, _ name: StaticString, _ fullName: StaticString, _ new: NewFunction
  ) throws(PythonException) {
    let type = try makeType(
      fullName, doc: "Not there: raises NotImplementedError.", new: new,
      dealloc: { instance in if let instance { freeInstance(instance) } })
    defer { Py_DecRef(type) }
    guard PyModule_AddObjectRef(module, name.characters, type) == 0 else { throw PythonException() }
  }

  private static func refuse(_ what: StaticString) -> PythonObject? {
    answer { () throws(PythonException) in
      throw PythonException(
        cpython_not_implemented_error(),
        "\(what) is not part of Moonrail, which has the transfer engine of mooncake.engine only. Where it is needed,"
          + " install a distribution of Mooncake in an environment of its own.")
    }
  }
}
