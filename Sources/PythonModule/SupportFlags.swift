internal import CPython
internal import DropIn
internal import TransferEngine

/// The flags `SUPPORT_*`: what this build can do on this host.
enum SupportFlags {
  static func add(to module: PythonObject) throws(PythonException) {
    for name in ["SUPPORT_HIP", "SUPPORT_INTRA_NVLINK", "SUPPORT_MNNVL", "SUPPORT_MUSA"] {
      try set(module, name, false)
    }
  }

  /// The module's `__getattr__`, which finds what is worked out on first use: whether there is an EFA device takes a
  /// look at the hardware, and an import must be fast.
  static var function: Method {
    Method("__getattr__", "__getattr__(name)\n--\n\nFinds attributes that are worked out on first use.") {
      _, arguments, count, keywords in
      SupportFlags.parameters.bind(arguments, count, keywords) { arguments throws(PythonException) in
        let name = try text(try arguments[required: 0], "name")
        // Not kept while it is false: the application may load CUDA later.
        if name == "SUPPORT_CUDA" { return PyBool_FromLong(TransferEngine.hasCUDA ? 1 : 0) }
        guard name == "SUPPORT_EFA" else {
          throw PythonException(cpython_attribute_error(), "module 'mooncake.engine' has no attribute '\(name)'")
        }
        let isThere = withoutInterpreter { ProtocolChoice.hasDevice(Configuration(localServerName: "")) }
        guard let module = PyImport_ImportModule("mooncake.engine") else { throw PythonException() }
        defer { Py_DecRef(module) }
        try SupportFlags.set(module, name, isThere)
        return PyBool_FromLong(isThere ? 1 : 0)
      }
    }
  }

  private static let parameters = Parameters("__getattr__", count: 1)

  private static func set(_ module: PythonObject, _ name: String, _ value: Bool) throws(PythonException) {
    guard let object = PyBool_FromLong(value ? 1 : 0) else { throw PythonException() }
    defer { Py_DecRef(object) }
    guard PyModule_AddObjectRef(module, name, object) == 0 else { throw PythonException() }
  }
}
