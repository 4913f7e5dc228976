internal import CPython
internal import DropIn
internal import TransferEngine

/// The class `_Engine`, on which the package `moonrail` is built: what it does is what it says, and failures are
/// exceptions.
enum NativeEngineType {
  static func make() throws(PythonException) -> PythonObject {
    try makeType(
      "mooncake.engine._Engine",
      doc: "The engine of moonrail.Engine. Not for other use.",
      methods: transfers + memory + peers,
      attributes: [
        Attribute(
          name: "name",
          get: { this, _ in
            answer { () throws(PythonException) in
              pythonText(try NativeEngineType.perform(this) { engine throws(TransferError) in try engine.engine.name })
            }
          }, set: nil),
        Attribute(
          name: "port",
          get: { this, _ in
            answer { () throws(PythonException) in
              let port = try NativeEngineType.perform(this) { engine throws(TransferError) in
                try engine.engine.rpcPort
              }
              return pythonCode(Int32(port))
            }
          }, set: nil),
      ],
      new: { type, arguments, keywords in
        answer { () throws(PythonException) in
          guard let type, let arguments, PyTuple_Size(arguments) == 4 else {
            throw .typeError("_Engine takes host, metadata, protocol, devices")
          }
          var texts: [String] = []
          for index in 0..<4 {
            guard let item = PyTuple_GetItem(arguments, index) else { throw PythonException() }
            texts.append(try textOrNone(item, "each argument"))
          }
          let state = EngineState()
          do throws(TransferError) {
            try state.start(
              Configuration(localServerName: texts[0], metadataServer: texts[1], deviceFilter: texts[3]),
              protocolName: texts[2])
          } catch {
            throw NativeError.raise(error)
          }
          return try makeInstance(type, state)
        }
      },
      dealloc: { instance in
        guard let instance else { return }
        EngineState.release(instance)
        freeInstance(instance)
      })
  }

  /// Runs `body` with the interpreter free. Its error becomes an exception.
  static func perform<R>(
    _ instance: PythonObject?, _ body: (DropInEngine) throws(TransferError) -> R
  ) throws(PythonException) -> R {
    let state = try payload(instance, as: EngineState.self)
    guard let engine = state.engine else {
      throw NativeError.raise(TransferError(.shutDown, "The engine is closed. Make another one."))
    }
    do throws(TransferError) {
      return try withoutInterpreter { Result { () throws(TransferError) in try body(engine) } }.get()
    } catch {
      throw NativeError.raise(error)
    }
  }

  // MARK: Transfers

  private static let startParameters = Parameters("start", count: 6)
  private static let transferParameters = Parameters("transfer", count: 6)
  private static let finishParameters = Parameters("finish", count: 1)
  private static let waitParameters = Parameters("wait", count: 1)
  private static let watchParameters = Parameters("watch", count: 2)

  private static var transfers: [Method] {
    [
      Method(
        "transfer",
        "transfer(segment, locals, remotes, lengths, opcode, notify, /)\n--\n\nMoves a batch and waits for its end."
      ) { this, arguments, count, keywords in
        NativeEngineType.transferParameters.bind(arguments, count, keywords) { arguments throws(PythonException) in
          let segment = try text(try arguments[required: 0], "segment")
          let requests = try NativeEngineType.requests(arguments)
          let all = requests.all
          let notification = try NotifyType.message(arguments[5])
          try NativeEngineType.perform(this) { engine throws(TransferError) in
            try engine.transfer(all, to: segment, notification: notification)
          }
          return pythonNone()
        }
      },
      Method(
        "start",
        "start(segment, locals, remotes, lengths, opcode, notify, /)\n--\n\nStarts a batch. Its number; 0: it is empty."
      ) { this, arguments, count, keywords in
        NativeEngineType.startParameters.bind(arguments, count, keywords) { arguments throws(PythonException) in
          let segment = try text(try arguments[required: 0], "segment")
          let requests = try NativeEngineType.requests(arguments)
          let all = requests.all
          let notification = try NotifyType.message(arguments[5])
          let batch = try NativeEngineType.perform(this) { engine throws(TransferError) in
            try engine.start(all, to: segment, notification: notification)
          }
          guard let number = batch?.rawValue else { return pythonInt(0) }
          try payload(this, as: EngineState.self).batches[number] = requests.bytes
          return pythonInt(number)
        }
      },
      Method("finish", "finish(batch, /)\n--\n\nWhether the batch is done. Raises if it failed.") {
        this, arguments, count, keywords in
        NativeEngineType.finishParameters.bind(arguments, count, keywords) { arguments throws(PythonException) in
          let (number, batch) = try NativeEngineType.batch(try arguments[required: 0])
          let progress = try NativeEngineType.perform(this) { engine throws(TransferError) in try engine.check(batch) }
          return try NativeEngineType.finished(this, number, progress) ? PyBool_FromLong(1) : PyBool_FromLong(0)
        }
      },
      Method("wait", "wait(batch, /)\n--\n\nWaits until the batch is done. Raises if it failed.") {
        this, arguments, count, keywords in
        NativeEngineType.waitParameters.bind(arguments, count, keywords) { arguments throws(PythonException) in
          let (number, batch) = try NativeEngineType.batch(try arguments[required: 0])
          let bytes = try payload(this, as: EngineState.self).batches[number] ?? 0
          let progress = try NativeEngineType.perform(this) { engine throws(TransferError) in
            try engine.conclude(batch, bytes: bytes)
          }
          guard try NativeEngineType.finished(this, number, progress) else {
            throw NativeError.raise(TransferError(.busy, "A NIC does not give the batch back: see the log."))
          }
          return pythonNone()
        }
      },
      Method(
        "watch", "watch(batch, eventfd, /)\n--\n\nHas an eventfd become readable once, when the batch may be done."
      ) { this, arguments, count, keywords in
        NativeEngineType.watchParameters.bind(arguments, count, keywords) { arguments throws(PythonException) in
          let (_, batch) = try NativeEngineType.batch(try arguments[required: 0])
          let descriptor = Int32(clamping: try unsigned(try arguments[required: 1]))
          guard let file = EventFile(duplicating: descriptor) else {
            throw .valueError("\(descriptor) is not an open file, or there are too many")
          }
          try NativeEngineType.perform(this) { engine throws(TransferError) in
            try engine.engine.whenDone(batch) { file.signal() }
          }
          return pythonNone()
        }
      },
    ]
  }

  private static func requests(_ arguments: Arguments) throws(PythonException) -> Requests {
    let opcode = try Opcode.value(try arguments[required: 4])
    guard
      let requests = try Requests.batch(
        opcode, try arguments[required: 1], try arguments[required: 2], try arguments[required: 3])
    else { throw .valueError("the lists must be equally long") }
    return requests
  }

  private static func batch(_ object: PythonObject) throws(PythonException) -> (UInt64, BatchID) {
    let number = try unsigned(object)
    return (number, BatchID(rawValue: number))
  }

  /// Whether it is done; raises if it failed.
  private static func finished(
    _ instance: PythonObject?, _ number: UInt64, _ progress: BatchProgress
  ) throws(PythonException) -> Bool {
    guard progress != .pending else { return false }
    try payload(instance, as: EngineState.self).batches[number] = nil
    switch progress {
    case .completed, .pending: return true
    case .failed: throw NativeError.raise(TransferError(.socket, "The transfer failed: the log says why."))
    case .timedOut:
      throw NativeError.raise(TransferError(.socket, "The transfer missed its deadline (MC_TRANSFER_TIMEOUT)."))
    }
  }
}
