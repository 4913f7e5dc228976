internal import CPython
internal import DropIn
internal import TransferEngine

/// Transfers that the caller waits for.
extension TransferEngineType {
  static var transfers: [Method] {
    [
      Method("transfer_sync_write", singleDoc) {
        TransferEngineType.single($0, $1, $2, $3, .write, TransferEngineType.writeParameters)
      },
      Method("transfer_sync_read", singleReadDoc) {
        TransferEngineType.single($0, $1, $2, $3, .read, TransferEngineType.readParameters)
      },
      Method("transfer_sync", generalDoc) { this, arguments, count, keywords in
        TransferEngineType.syncParameters.bind(arguments, count, keywords) { arguments throws(PythonException) in
          let requests = try Requests.one(
            try Opcode.value(try arguments[required: 4]), try arguments[required: 1], try arguments[required: 2],
            try arguments[required: 3])
          let notification = try NotifyType.message(arguments[5])
          return try TransferEngineType.move(
            this, TransferEngineType.syncParameters.method, try arguments[required: 0], requests, notification)
        }
      },
      Method("batch_transfer_sync_write", batchDoc) {
        TransferEngineType.batch($0, $1, $2, $3, .write, TransferEngineType.batchWriteParameters)
      },
      Method("batch_transfer_sync_read", batchReadDoc) {
        TransferEngineType.batch($0, $1, $2, $3, .read, TransferEngineType.batchReadParameters)
      },
      Method("batch_transfer_sync", batchGeneralDoc) { this, arguments, count, keywords in
        TransferEngineType.batchSyncParameters.bind(arguments, count, keywords) { arguments throws(PythonException) in
          let opcode = try Opcode.value(try arguments[required: 4])
          let notification = try NotifyType.message(arguments[5])
          guard
            let requests = try Requests.batch(
              opcode, try arguments[required: 1], try arguments[required: 2], try arguments[required: 3])
          else { return TransferEngineType.unequal(TransferEngineType.batchSyncParameters.method) }
          return try TransferEngineType.move(
            this, TransferEngineType.batchSyncParameters.method, try arguments[required: 0], requests, notification)
        }
      },
    ]
  }

  private static let singleNames: [StaticString] = [
    "target_hostname", "buffer", "peer_buffer_address", "length",
  ]
  static let batchNames: [StaticString] = ["target_hostname", "buffers", "peer_buffer_addresses", "lengths"]
  static let hint: [StaticString] = ["transport_hint"]
  private static let writeParameters = Parameters("transfer_sync_write", singleNames + hint, required: 4)
  private static let readParameters = Parameters("transfer_sync_read", singleNames + hint, required: 4)
  private static let syncParameters = Parameters(
    "transfer_sync", singleNames + ["opcode", "notify"] + hint, required: 5)
  private static let batchWriteParameters = Parameters("batch_transfer_sync_write", batchNames + hint, required: 4)
  private static let batchReadParameters = Parameters("batch_transfer_sync_read", batchNames + hint, required: 4)
  private static let batchSyncParameters = Parameters(
    "batch_transfer_sync", batchNames + ["opcode", "notify"] + hint, required: 5)
  static let submitWriteParameters = Parameters("transfer_submit_write", singleNames + hint, required: 4)

  private static func single(
    _ instance: PythonObject?, _ arguments: UnsafePointer<PythonObject?>?, _ count: Int, _ keywords: PythonObject?,
    _ opcode: TransferOpcode, _ parameters: Parameters
  ) -> PythonObject? {
    parameters.bind(arguments, count, keywords) { arguments throws(PythonException) in
      let requests = try Requests.one(
        opcode, try arguments[required: 1], try arguments[required: 2], try arguments[required: 3])
      return try move(instance, parameters.method, try arguments[required: 0], requests, nil)
    }
  }

  private static func batch(
    _ instance: PythonObject?, _ arguments: UnsafePointer<PythonObject?>?, _ count: Int, _ keywords: PythonObject?,
    _ opcode: TransferOpcode, _ parameters: Parameters
  ) -> PythonObject? {
    parameters.bind(arguments, count, keywords) { arguments throws(PythonException) in
      guard
        let requests = try Requests.batch(
          opcode, try arguments[required: 1], try arguments[required: 2], try arguments[required: 3])
      else { return unequal(parameters.method) }
      return try move(instance, parameters.method, try arguments[required: 0], requests, nil)
    }
  }

  /// Moves `requests` and answers 0, or -1 for whatever kept a byte from its place.
  private static func move(
    _ instance: PythonObject?, _ method: StaticString, _ target: PythonObject, _ requests: borrowing Requests,
    _ notification: NotificationMessage?
  ) throws(PythonException) -> PythonObject? {
    let target = try text(target, "target_hostname")
    let all = requests.all
    guard let engine = try payload(instance, as: EngineState.self).engine(for: method) else { return pythonCode(-1) }
    let code = withoutInterpreter {
      engine.code(method) { () throws(TransferError) in
        try engine.transfer(all, to: target, notification: notification)
        return 0
      }
    }
    return pythonCode(code == 0 ? 0 : -1)
  }

  /// Answers a call whose lists differ in length.
  static func unequal(_ method: StaticString) -> PythonObject? {
    complain("\(method): the lists of addresses and lengths must be equally long")
    return pythonCode(-1)
  }

  private static let singleDoc: StaticString = """
    transfer_sync_write(target_hostname, buffer, peer_buffer_address, length, transport_hint='')
    --

    Writes length bytes at buffer to the peer's memory. 0, or -1; nothing moves any more then.
    """
  private static let singleReadDoc: StaticString = """
    transfer_sync_read(target_hostname, buffer, peer_buffer_address, length, transport_hint='')
    --

    Reads length bytes of the peer's memory into buffer. 0, or -1; nothing moves any more then.
    """
  private static let generalDoc: StaticString = """
    transfer_sync(target_hostname, buffer, peer_buffer_address, length, opcode, notify=None, transport_hint='')
    --

    Reads or writes; the peer gets notify when the bytes are in place. 0, or -1.
    """
  private static let batchDoc: StaticString = """
    batch_transfer_sync_write(target_hostname, buffers, peer_buffer_addresses, lengths, transport_hint='')
    --

    Writes one piece for each entry of the lists. 0, or -1 if any byte is not in its place; nothing moves any more then.
    """
  private static let batchReadDoc: StaticString = """
    batch_transfer_sync_read(target_hostname, buffers, peer_buffer_addresses, lengths, transport_hint='')
    --

    Reads one piece for each entry of the lists. 0, or -1 if any byte is not in its place; nothing moves any more then.
    """
  private static let batchGeneralDoc: StaticString = """
    batch_transfer_sync(target_hostname, buffers, peer_buffer_addresses, lengths, opcode, notify=None, \
    transport_hint='')
    --

    Reads or writes a batch; the peer gets notify when all bytes are in place. 0, or -1.
    """
}
