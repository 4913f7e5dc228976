internal import CPython
internal import DropIn
internal import TransferEngine

/// Registered memory, and memory of the engine's own.
extension TransferEngineType {
  static var memory: [Method] {
    [
      Method(
        "register_memory",
        """
        register_memory(buffer_addr, capacity, location='*')
        --

        Registers memory for transfers, and for peers. 0, -7 if it overlaps memory that is registered, or another \
        negative number. location: 'cpu:<NUMA node>'; '*': to be found out.
        """
      ) { this, arguments, count, keywords in
        TransferEngineType.registerParameters.bind(arguments, count, keywords) { arguments throws(PythonException) in
          let address = try unsigned(try arguments[required: 0])
          let length = try unsigned(try arguments[required: 1])
          return try TransferEngineType.register(
            this, TransferEngineType.registerParameters.method, [address], [length], arguments[2])
        }
      },
      Method(
        "batch_register_memory",
        """
        batch_register_memory(buffer_addresses, capacities, location='*')
        --

        Registers one buffer for each entry of the lists, all or none. 0, or a negative number.
        """
      ) { this, arguments, count, keywords in
        TransferEngineType.batchRegisterParameters.bind(arguments, count, keywords) {
          arguments throws(PythonException) in
          let addresses = try Numbers.of(try arguments[required: 0], "buffer_addresses").all
          let lengths = try Numbers.of(try arguments[required: 1], "capacities").all
          guard addresses.count == lengths.count else {
            return TransferEngineType.unequal(TransferEngineType.batchRegisterParameters.method)
          }
          return try TransferEngineType.register(
            this, TransferEngineType.batchRegisterParameters.method, addresses, lengths, arguments[2])
        }
      },
      Method(
        "unregister_memory",
        "unregister_memory(buffer_addr, /)\n--\n\nWithdraws memory. 0, -3 if it is not registered, or another number."
      ) { this, arguments, count, keywords in
        TransferEngineType.unregisterParameters.bind(arguments, count, keywords) { arguments throws(PythonException) in
          let address = UInt(try unsigned(try arguments[required: 0]))
          return try TransferEngineType.code(this, TransferEngineType.unregisterParameters.method) {
            engine throws(TransferError) in
            try engine.unregister([address])
            return 0
          }
        }
      },
      Method(
        "batch_unregister_memory",
        "batch_unregister_memory(buffer_addresses, /)\n--\n\nWithdraws all of these. 0, or the first failure's code."
      ) { this, arguments, count, keywords in
        TransferEngineType.batchUnregisterParameters.bind(arguments, count, keywords) {
          arguments throws(PythonException) in
          let addresses = try Numbers.of(try arguments[required: 0], "buffer_addresses").all.map { UInt($0) }
          return try TransferEngineType.code(this, TransferEngineType.batchUnregisterParameters.method) {
            engine throws(TransferError) in
            try engine.unregister(addresses)
            return 0
          }
        }
      },
      Method(
        "allocate_managed_buffer",
        "allocate_managed_buffer(length, /)\n--\n\nThe address of registered memory of the engine's own; 0: none."
      ) { this, arguments, count, keywords in
        TransferEngineType.allocateParameters.bind(arguments, count, keywords) { arguments throws(PythonException) in
          let length = Int(clamping: try unsigned(try arguments[required: 0]))
          let state = try payload(this, as: EngineState.self)
          guard let engine = state.engine(for: TransferEngineType.allocateParameters.method) else {
            return pythonInt(0)
          }
          var address: UInt = 0
          withoutInterpreter {
            _ = engine.code(TransferEngineType.allocateParameters.method) { () throws(TransferError) in
              address = UInt(bitPattern: try engine.allocateManaged(length))
              return 0
            }
          }
          return pythonInt(UInt64(address))
        }
      },
      Method(
        "free_managed_buffer",
        "free_managed_buffer(address, length, /)\n--\n\nGives memory of allocate_managed_buffer() back. 0, or -3."
      ) { this, arguments, count, keywords in
        TransferEngineType.freeParameters.bind(arguments, count, keywords) { arguments throws(PythonException) in
          let address = UInt(try unsigned(try arguments[required: 0]))
          _ = try unsigned(try arguments[required: 1])
          return try TransferEngineType.code(this, TransferEngineType.freeParameters.method) {
            engine throws(TransferError) in
            try engine.freeManaged(address)
            return 0
          }
        }
      },
      Method(
        "write_bytes_to_buffer",
        "write_bytes_to_buffer(address, data, length, /)\n--\n\nCopies length bytes of data to memory of this process."
      ) { this, arguments, count, keywords in
        TransferEngineType.writeBytesParameters.bind(arguments, count, keywords) { arguments throws(PythonException) in
          let address = UInt(try unsigned(try arguments[required: 0]))
          let length = try unsigned(try arguments[required: 2])
          return try TransferEngineType.withBytes(try arguments[required: 1]) { bytes in
            guard length <= UInt64(bytes.count) else {
              complain("write_bytes_to_buffer: \(length) bytes of \(bytes.count) cannot be written")
              return pythonCode(-1)
            }
            let part = UnsafeRawBufferPointer(rebasing: bytes[..<Int(length)])
            guard OwnMemory.write(part, to: address) else {
              complain("write_bytes_to_buffer: there is no memory for \(length) bytes at \(address)")
              return pythonCode(-1)
            }
            return pythonCode(0)
          }
        }
      },
      Method(
        "read_bytes_from_buffer",
        "read_bytes_from_buffer(address, length, /)\n--\n\nA copy of memory of this process, as bytes."
      ) { this, arguments, count, keywords in
        TransferEngineType.readBytesParameters.bind(arguments, count, keywords) { arguments throws(PythonException) in
          let address = UInt(try unsigned(try arguments[required: 0]))
          let length = Int(clamping: try unsigned(try arguments[required: 1]))
          guard length < Int.max / 2 else { throw PythonException(cpython_memory_error(), "\(length) bytes") }
          guard let bytes = PyBytes_FromStringAndSize(nil, length) else { throw PythonException() }
          let room = UnsafeMutableRawBufferPointer(start: PyBytes_AsString(bytes), count: length)
          guard OwnMemory.read(into: room, from: address) else {
            Py_DecRef(bytes)
            throw .valueError("there is no memory of \(length) bytes at \(address) in this process")
          }
          return bytes
        }
      },
    ]
  }

  private static let registerParameters = Parameters(
    "register_memory", ["buffer_addr", "capacity", "location"], required: 2)
  private static let batchRegisterParameters = Parameters(
    "batch_register_memory", ["buffer_addresses", "capacities", "location"], required: 2)
  private static let unregisterParameters = Parameters("unregister_memory", count: 1)
  private static let batchUnregisterParameters = Parameters("batch_unregister_memory", count: 1)
  private static let allocateParameters = Parameters("allocate_managed_buffer", count: 1)
  private static let freeParameters = Parameters("free_managed_buffer", count: 2)
  private static let writeBytesParameters = Parameters("write_bytes_to_buffer", count: 3)
  private static let readBytesParameters = Parameters("read_bytes_from_buffer", count: 2)

  private static func register(
    _ instance: PythonObject?, _ method: StaticString, _ addresses: [UInt64], _ lengths: [UInt64],
    _ location: PythonObject?
  ) throws(PythonException) -> PythonObject? {
    let location = location == nil ? "*" : try textOrNone(location, "location")
    return try code(instance, method) { engine throws(TransferError) in
      try engine.register(try BufferList.entries(addresses, lengths), location: location)
      return 0
    }
  }

  private static func withBytes(
    _ object: PythonObject, _ body: (UnsafeRawBufferPointer) -> PythonObject?
  ) throws(PythonException) -> PythonObject? {
    var size = 0
    if cpython_is_bytes(object) != 0 {
      return body(UnsafeRawBufferPointer(start: PyBytes_AsString(object), count: PyBytes_Size(object)))
    }
    guard cpython_is_text(object) != 0 else { throw .typeError("the data must be bytes or a string") }
    guard let characters = PyUnicode_AsUTF8AndSize(object, &size) else { throw PythonException() }
    return body(UnsafeRawBufferPointer(start: characters, count: size))
  }
}
