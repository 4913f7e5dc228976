internal import CPython
internal import DropIn
internal import TransferEngine

/// Transfers that the caller asks about.
extension TransferEngineType {
  static var batches: [Method] {
    [
      Method("batch_transfer_async_write", asyncDoc) {
        TransferEngineType.start($0, $1, $2, $3, .write, TransferEngineType.asyncWriteParameters)
      },
      Method("batch_transfer_async_read", asyncReadDoc) {
        TransferEngineType.start($0, $1, $2, $3, .read, TransferEngineType.asyncReadParameters)
      },
      Method("batch_transfer_async", asyncGeneralDoc) {
        TransferEngineType.start($0, $1, $2, $3, nil, TransferEngineType.asyncParameters)
      },
      Method("transfer_submit_write", submitDoc) { this, arguments, count, keywords in
        TransferEngineType.submitWriteParameters.bind(arguments, count, keywords) { arguments throws(PythonException) in
          let requests = try Requests.one(
            .write, try arguments[required: 1], try arguments[required: 2], try arguments[required: 3])
          return try TransferEngineType.start(
            this, TransferEngineType.submitWriteParameters.method, try arguments[required: 0], requests)
        }
      },
      Method("transfer_check_status", checkDoc) { this, arguments, count, keywords in
        TransferEngineType.checkParameters.bind(arguments, count, keywords) { arguments throws(PythonException) in
          let number = try unsigned(try arguments[required: 0])
          let state = try payload(this, as: EngineState.self)
          return pythonCode(TransferEngineType.check(number, state))
        }
      },
      Method("get_batch_transfer_status", waitDoc) { this, arguments, count, keywords in
        TransferEngineType.waitParameters.bind(arguments, count, keywords) { arguments throws(PythonException) in
          let numbers = try Numbers.of(try arguments[required: 0], "the batches").all
          let state = try payload(this, as: EngineState.self)
          guard let engine = state.engine(for: TransferEngineType.waitParameters.method) else { return pythonCode(-1) }
          var code: Int32 = 0
          // All of them are awaited, also after one that failed: their memory must be free to be used again.
          for number in numbers where TransferEngineType.conclude(number, state, engine) != .completed { code = -1 }
          return pythonCode(code)
        }
      },
    ]
  }

  private static let asyncWriteParameters = Parameters("batch_transfer_async_write", batchNames + hint, required: 4)
  private static let asyncReadParameters = Parameters("batch_transfer_async_read", batchNames + hint, required: 4)
  private static let asyncParameters = Parameters(
    "batch_transfer_async", batchNames + ["opcode"] + hint, required: 5)
  private static let checkParameters = Parameters("transfer_check_status", count: 1)
  private static let waitParameters = Parameters("get_batch_transfer_status", count: 1)

  /// `opcode`: nil where it is an argument.
  private static func start(
    _ instance: PythonObject?, _ arguments: UnsafePointer<PythonObject?>?, _ count: Int, _ keywords: PythonObject?,
    _ opcode: TransferOpcode?, _ parameters: Parameters
  ) -> PythonObject? {
    parameters.bind(arguments, count, keywords) { arguments throws(PythonException) in
      let opcode = if let opcode { opcode } else { try Opcode.value(try arguments[required: 4]) }
      guard
        let requests = try Requests.batch(
          opcode, try arguments[required: 1], try arguments[required: 2], try arguments[required: 3])
      else {
        complain("\(parameters.method): the lists of addresses and lengths must be equally long")
        return pythonInt(0)
      }
      return try start(instance, parameters.method, try arguments[required: 0], requests)
    }
  }

  /// Starts `requests` and answers their number, 0 if they could not be started or there are none.
  private static func start(
    _ instance: PythonObject?, _ method: StaticString, _ target: PythonObject, _ requests: borrowing Requests
  ) throws(PythonException) -> PythonObject? {
    let target = try text(target, "target_hostname")
    let all = requests.all
    let state = try payload(instance, as: EngineState.self)
    guard let engine = state.engine(for: method) else { return pythonInt(0) }
    var batch: BatchID?
    withoutInterpreter {
      _ = engine.code(method) { () throws(TransferError) in
        batch = try engine.start(all, to: target)
        return 0
      }
    }
    guard let number = batch?.rawValue else { return pythonInt(0) }
    state.batches[number] = requests.bytes
    return pythonInt(number)
  }

  /// How a batch stands: 1, 0, -1 or -2; a batch that has ended is freed. Does not wait.
  static func check(_ number: UInt64, _ state: EngineState) -> Int32 {
    guard let engine = state.engine(for: checkParameters.method) else { return -1 }
    guard state.batches[number] != nil else { return unknown(number, engine) }
    let code = withoutInterpreter {
      engine.code(checkParameters.method) { () throws(TransferError) in
        try engine.check(BatchID(rawValue: number)).rawValue
      }
    }
    if code == BatchProgress.pending.rawValue { return code }
    state.batches[number] = nil
    return code < BatchProgress.timedOut.rawValue ? BatchProgress.failed.rawValue : code
  }

  private static func conclude(_ number: UInt64, _ state: EngineState, _ engine: DropInEngine) -> BatchProgress {
    guard let bytes = state.batches[number] else {
      _ = unknown(number, engine)
      return .failed
    }
    var progress = BatchProgress.failed
    withoutInterpreter {
      _ = engine.code(waitParameters.method) { () throws(TransferError) in
        progress = try engine.conclude(BatchID(rawValue: number), bytes: bytes)
        return 0
      }
    }
    if progress != .pending { state.batches[number] = nil }
    return progress
  }

  private static func unknown(_ number: UInt64, _ engine: DropInEngine) -> Int32 {
    engine.code(checkParameters.method) { () throws(TransferError) in
      // In a forked child there is more to say.
      _ = try engine.engine
      throw TransferError(.invalidArgument, "There is no batch \(number): it has ended before, or it never was.")
    }
    return BatchProgress.failed.rawValue
  }

  private static let asyncDoc: StaticString = """
    batch_transfer_async_write(target_hostname, buffers, peer_buffer_addresses, lengths, transport_hint='')
    --

    Starts a batch of writes. Returns its number for transfer_check_status(), or 0 if it could not be started.
    """
  private static let asyncReadDoc: StaticString = """
    batch_transfer_async_read(target_hostname, buffers, peer_buffer_addresses, lengths, transport_hint='')
    --

    Starts a batch of reads. Returns its number for transfer_check_status(), or 0 if it could not be started.
    """
  private static let asyncGeneralDoc: StaticString = """
    batch_transfer_async(target_hostname, buffers, peer_buffer_addresses, lengths, opcode, transport_hint='')
    --

    Starts a batch. Returns its number for transfer_check_status(), or 0 if it could not be started.
    """
  private static let submitDoc: StaticString = """
    transfer_submit_write(target_hostname, buffer, peer_buffer_address, length, transport_hint='')
    --

    Starts a write. Returns its number for transfer_check_status(), or 0 if it could not be started.
    """
  private static let checkDoc: StaticString = """
    transfer_check_status(batch, /)
    --

    1: every byte of the whole batch is in its place. 0: not yet. -1: failed, and nothing moves any more. -2: timed \
    out. The number ends with any answer but 0.
    """
  private static let waitDoc: StaticString = """
    get_batch_transfer_status(batches, /)
    --

    Waits until all of these batches have ended. 0, or -1 if one of them failed. Their numbers end with it.
    """
}
