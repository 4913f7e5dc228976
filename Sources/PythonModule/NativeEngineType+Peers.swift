internal import CPython
internal import DropIn
internal import TransferEngine

/// Memory and peers.
extension NativeEngineType {
  private static let registerParameters = Parameters("register", count: 4)
  private static let unregisterParameters = Parameters("unregister", count: 1)
  private static let allocateParameters = Parameters("allocate", count: 1)
  private static let freeParameters = Parameters("free", count: 1)
  private static let buffersParameters = Parameters("buffers", count: 1)
  private static let warmupParameters = Parameters("warmup", count: 1)
  private static let probeParameters = Parameters("probe", count: 1)
  private static let notifyParameters = Parameters("notify", count: 2)

  static var memory: [Method] {
    [
      Method("register", "register(addresses, lengths, location, access, /)\n--\n\nRegisters buffers, all or none.") {
        this, arguments, count, keywords in
        NativeEngineType.registerParameters.bind(arguments, count, keywords) { arguments throws(PythonException) in
          let addresses = try Numbers.of(try arguments[required: 0], "addresses").all
          let lengths = try Numbers.of(try arguments[required: 1], "lengths").all
          let location = try text(try arguments[required: 2], "location")
          guard let access = UInt8(exactly: try unsigned(try arguments[required: 3])).flatMap(RemoteAccess.init) else {
            throw .valueError("access must be 0 (none), 1 (read only) or 2 (read and write)")
          }
          try NativeEngineType.perform(this) { engine throws(TransferError) in
            try engine.register(
              try BufferList.entries(addresses, lengths), location: location, remoteAccess: access)
          }
          return pythonNone()
        }
      },
      Method("unregister", "unregister(addresses, /)\n--\n\nWithdraws buffers; attempts all.") {
        this, arguments, count, keywords in
        NativeEngineType.unregisterParameters.bind(arguments, count, keywords) { arguments throws(PythonException) in
          let addresses = try Numbers.of(try arguments[required: 0], "addresses").all.map { UInt($0) }
          try NativeEngineType.perform(this) { engine throws(TransferError) in try engine.unregister(addresses) }
          return pythonNone()
        }
      },
      Method("allocate", "allocate(length, /)\n--\n\nThe address of registered memory of the engine's own.") {
        this, arguments, count, keywords in
        NativeEngineType.allocateParameters.bind(arguments, count, keywords) { arguments throws(PythonException) in
          let length = Int(clamping: try unsigned(try arguments[required: 0]))
          let address = try NativeEngineType.perform(this) { engine throws(TransferError) in
            UInt(bitPattern: try engine.allocateManaged(length))
          }
          return pythonInt(UInt64(address))
        }
      },
      Method("free", "free(address, /)\n--\n\nGives memory of allocate() back.") { this, arguments, count, keywords in
        NativeEngineType.freeParameters.bind(arguments, count, keywords) { arguments throws(PythonException) in
          let address = UInt(try unsigned(try arguments[required: 0]))
          try NativeEngineType.perform(this) { engine throws(TransferError) in try engine.freeManaged(address) }
          return pythonNone()
        }
      },
    ]
  }

  static var peers: [Method] {
    [
      Method("nics", "nics()\n--\n\nThe names of the NICs in use; none over TCP.") { this, arguments, count, keywords in
        answer { () throws(PythonException) in
          let names = try NativeEngineType.perform(this) { engine throws(TransferError) in
            try engine.engine.nics.map(\.name)
          }
          return try pythonList(names) { pythonText($0) }
        }
      },
      Method("buffers", "buffers(segment, /)\n--\n\nWhat a peer has registered: (address, length, location) each.") {
        this, arguments, count, keywords in
        NativeEngineType.buffersParameters.bind(arguments, count, keywords) { arguments throws(PythonException) in
          let name = try text(try arguments[required: 0], "segment")
          let buffers = try NativeEngineType.perform(this) { engine throws(TransferError) in
            let engine = try engine.engine
            let segment = try engine.openSegment(name)
            try engine.syncSegmentCache(name)
            return try engine.describe(segment).buffers
          }
          return try pythonList(buffers) { buffer throws(PythonException) in
            try NativeEngineType.pythonTuple([
              pythonInt(buffer.address), pythonInt(buffer.length), pythonText(buffer.location),
            ])
          }
        }
      },
      Method("warmup", "warmup(segment, /)\n--\n\nConnects to a peer's NICs: (connected, pairs, microseconds).") {
        this, arguments, count, keywords in
        NativeEngineType.warmupParameters.bind(arguments, count, keywords) { arguments throws(PythonException) in
          let name = try text(try arguments[required: 0], "segment")
          let report = try NativeEngineType.perform(this) { engine throws(TransferError) in
            try engine.engine.warmup(segment: name)
          }
          return try NativeEngineType.pythonTuple(
            [report.connected, report.pairs, report.microseconds].map { pythonInt(UInt64(clamping: $0)) })
        }
      },
      Method("probe", "probe(segment, /)\n--\n\nAsks a peer whether it is there.") { this, arguments, count, keywords in
        NativeEngineType.probeParameters.bind(arguments, count, keywords) { arguments throws(PythonException) in
          let name = try text(try arguments[required: 0], "segment")
          try NativeEngineType.perform(this) { engine throws(TransferError) in try engine.engine.probe(name) }
          return pythonNone()
        }
      },
      Method("notify", "notify(segment, notification, /)\n--\n\nSends a message and waits for its receipt.") {
        this, arguments, count, keywords in
        NativeEngineType.notifyParameters.bind(arguments, count, keywords) { arguments throws(PythonException) in
          let name = try text(try arguments[required: 0], "segment")
          guard let message = try NotifyType.message(arguments[1]) else {
            throw .typeError("a TransferNotify is needed")
          }
          try NativeEngineType.perform(this) { engine throws(TransferError) in try engine.engine.notify(name, message) }
          return pythonNone()
        }
      },
      Method("notifications", "notifications()\n--\n\nTakes the messages that have arrived.") {
        this, arguments, count, keywords in
        answer { () throws(PythonException) in
          let messages = try NativeEngineType.perform(this) { engine throws(TransferError) in
            try engine.engine.takeNotifications()
          }
          return try pythonList(messages) { message throws(PythonException) in try NotifyType.instance(message) }
        }
      },
      Method("close", "close()\n--\n\nStops the engine. Transfers in flight fail.") {
        this, arguments, count, keywords in
        TransferEngineType.noParameters("close", this, arguments, count, keywords) { state throws(PythonException) in
          state.stop()
          return pythonNone()
        }
      },
    ]
  }

  /// A tuple that takes over new references.
  private static func pythonTuple(_ items: [PythonObject?]) throws(PythonException) -> PythonObject {
    guard let tuple = PyTuple_New(items.count) else { throw PythonException() }
    for (index, item) in items.enumerated() { _ = PyTuple_SetItem(tuple, index, item) }
    guard !items.contains(nil) else {
      Py_DecRef(tuple)
      throw PythonException()
    }
    return tuple
  }
}
