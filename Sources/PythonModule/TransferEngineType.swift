internal import CPython
internal import DropIn
internal import TransferEngine

/// The class `TransferEngine`, with the methods, defaults and return codes of Mooncake's.
enum TransferEngineType {
  static func make() throws(PythonException) -> PythonObject {
    let type = try makeType(
      "mooncake.engine.TransferEngine",
      doc: """
        TransferEngine()
        --

        Moves memory between this host and its peers. Transfers return 0 when every byte is where it belongs, and a \
        negative number otherwise; they never raise for a transfer that fails.
        """,
      methods: starting + transfers + batches + memory + peers,
      new: { type, arguments, keywords in
        answer { () throws(PythonException) in
          guard let type else { throw PythonException() }
          return try makeInstance(type, EngineState())
        }
      },
      dealloc: { instance in
        guard let instance else { return }
        EngineState.release(instance)
        freeInstance(instance)
      })
    do throws(PythonException) {
      guard PyObject_SetAttrString(type, "TransferOpcode", try Opcode.type) == 0 else { throw PythonException() }
    } catch {
      Py_DecRef(type)
      throw error
    }
    return type
  }

  /// Answers a call with a code: runs `body` with the interpreter free. -1 if the engine is not initialized.
  static func code(
    _ instance: PythonObject?, _ method: StaticString,
    _ body: (DropInEngine) throws(TransferError) -> Int32
  ) throws(PythonException) -> PythonObject? {
    guard let engine = try payload(instance, as: EngineState.self).engine(for: method) else { return pythonCode(-1) }
    return pythonCode(withoutInterpreter { engine.code(method) { () throws(TransferError) in try body(engine) } })
  }

  private static var starting: [Method] {
    [
      Method(
        "initialize",
        """
        TransferEngineType.initialize(local_hostname, metadata_server, protocol, device_name, /)
        --

        Starts the engine. Returns 0, or -1 and says why in the log.

        local_hostname: the name or address under which peers reach this host.
        metadata_server: 'P2PHANDSHAKE', or a store: 'http://…', 'etcd://…', 'redis://…'.
        protocol: 'efa' or 'tcp'; 'rdma' means EFA where there is a device, and otherwise TCP.
        device_name: NICs to use, comma separated; '' or None: all.
        """
      ) { TransferEngineType.initialize($0, $1, $2, $3, TransferEngineType.initializeParameters) },
      Method(
        "initialize_ext",
        """
        initialize_ext(local_hostname, metadata_server, protocol, device_name, metadata_type, /)
        --

        As initialize(); metadata_type ('http', 'etcd', 'redis') is the scheme of a metadata_server that has none.
        """
      ) { TransferEngineType.initialize($0, $1, $2, $3, TransferEngineType.initializeExtParameters) },
      Method("get_rpc_port", "get_rpc_port()\n--\n\nThe port under which peers reach this engine.") {
        TransferEngineType.noParameters("get_rpc_port", $0, $1, $2, $3) { state throws(PythonException) in
          guard let engine = state.engine(for: "get_rpc_port") else { return pythonCode(-1) }
          return pythonCode(
            engine.code("get_rpc_port") { () throws(TransferError) in Int32(try engine.engine.rpcPort) })
        }
      },
      Method(
        "get_engine",
        "get_engine()\n--\n\nThe engine as an opaque object for other modules; None before initialize()."
      ) {
        TransferEngineType.noParameters("get_engine", $0, $1, $2, $3) { state throws(PythonException) in
          state.engine == nil ? pythonNone() : try makeInstance(try ModuleTypes.inner, state)
        }
      },
      Method("get_engine_ptr", "get_engine_ptr()\n--\n\nNot there: raises NotImplementedError.") { _, _, _, _ in
        answer { () throws(PythonException) in
          throw PythonException(
            cpython_not_implemented_error(),
            "get_engine_ptr() is the address of a C++ object, and this engine has none: it is Moonrail's, in Swift."
              + " get_engine() gives an opaque object.")
        }
      },
    ]
  }

  /// For a method that takes no arguments.
  static func noParameters(
    _ name: StaticString, _ instance: PythonObject?, _ arguments: UnsafePointer<PythonObject?>?, _ count: Int,
    _ keywords: PythonObject?, _ body: (EngineState) throws(PythonException) -> PythonObject?
  ) -> PythonObject? {
    answer { () throws(PythonException) in
      guard count == 0, keywords == nil else { throw .typeError("\(name)() takes no arguments") }
      return try body(try payload(instance, as: EngineState.self))
    }
  }

  private static let initializeParameters = Parameters("initialize", count: 4)
  private static let initializeExtParameters = Parameters("initialize_ext", count: 5)

  private static func initialize(
    _ instance: PythonObject?, _ arguments: UnsafePointer<PythonObject?>?, _ count: Int, _ keywords: PythonObject?,
    _ parameters: Parameters
  ) -> PythonObject? {
    parameters.bind(arguments, count, keywords) { arguments throws(PythonException) in
      let state = try payload(instance, as: EngineState.self)
      let scheme = parameters.names.count > 4 ? try textOrNone(arguments[4], "metadata_type") : ""
      let configuration = Configuration(
        localServerName: try textOrNone(arguments[0], "local_hostname"),
        metadataServer: withScheme(scheme, try textOrNone(arguments[1], "metadata_server")),
        deviceFilter: try textOrNone(arguments[3], "device_name"))
      let protocolName = try textOrNone(arguments[2], "protocol")
      do throws(TransferError) {
        try state.start(configuration, protocolName: protocolName)
        return pythonCode(0)
      } catch {
        complain("\(parameters.method): \(error)")
        return pythonCode(-1)
      }
    }
  }

  private static func withScheme(_ scheme: String, _ server: String) -> String {
    if scheme.isEmpty || server == "P2PHANDSHAKE" || server.contains("://") { return server }
    return scheme == "P2PHANDSHAKE" ? scheme : scheme + "://" + server
  }
}
