public import CTransferEngine
internal import DropIn
internal import Synchronization
internal import TransferEngine

extension TransferRequest {
  /// What the caller asks for.
  fileprivate init(_ request: transfer_request, _ index: Int) throws(TransferError) {
    guard let opcode = TransferOpcode(rawValue: request.opcode) else {
      throw TransferError(.invalidArgument, "Request \(index): there is no opcode \(request.opcode).")
    }
    guard let target = UInt64(exactly: request.target_id) else {
      throw TransferError(.invalidArgument, "Request \(index): there is no segment \(request.target_id).")
    }
    guard let length = Int(exactly: request.length) else {
      throw TransferError(.invalidArgument, "Request \(index): \(request.length) bytes are more than there can be.")
    }
    guard let source = request.source ?? (length == 0 ? UnsafeMutableRawPointer(bitPattern: 1) : nil) else {
      throw TransferError(.invalidArgument, "Request \(index): the source is NULL.")
    }
    self.init(
      opcode, local: source, target: SegmentID(rawValue: target), remote: request.target_offset, length: length)
  }
}

/// Starts what the caller asks for.
private func submit(
  _ cell: EngineCell, _ batch: UInt64, _ entries: UnsafeMutablePointer<transfer_request>?, _ count: Int,
  notification: NotificationMessage?
) throws(TransferError) {
  let entries = try Calls.elements(entries, count, "entries")
  try cell.installed { engine throws(TransferError) in
    // Small ones are on the stack; the engine reads them before it returns.
    let outcome = withUnsafeTemporaryAllocation(of: TransferRequest.self, capacity: entries.count) { requests in
      Result { () throws(TransferError) in
        for index in entries.indices {
          requests.initializeElement(at: index, to: try TransferRequest(entries[index], index))
        }
        try engine.submit(
          UnsafeBufferPointer(requests), to: BatchID(rawValue: batch), notification: notification)
      }
    }
    try outcome.get()
  }
}

/// `allocateBatchID` of `transfer_engine_c.h`, which describes it.
@c @implementation
public func allocateBatchID(_ engine: UnsafeMutableRawPointer?, _ size: Int) -> UInt64 {
  Calls.result(engine, "allocateBatchID") { cell throws(TransferError) in
    try cell.installed { engine throws(TransferError) in try engine.allocateBatch(capacity: size).rawValue }
  } otherwise: { _ in
    UInt64.max
  }
}

/// `submitTransfer` of `transfer_engine_c.h`, which describes it.
@c @implementation
public func submitTransfer(
  _ engine: UnsafeMutableRawPointer?, _ batch: UInt64, _ entries: UnsafeMutablePointer<transfer_request>?,
  _ count: Int
) -> Int32 {
  Calls.status(engine, "submitTransfer") { cell throws(TransferError) in
    try submit(cell, batch, entries, count, notification: nil)
  }
}

/// `submitTransferWithNotify` of `transfer_engine_c.h`, which describes it.
@c @implementation
public func submitTransferWithNotify(
  _ engine: UnsafeMutableRawPointer?, _ batch: UInt64, _ entries: UnsafeMutablePointer<transfer_request>?,
  _ count: Int, _ message: notify_msg_t
) -> Int32 {
  Calls.status(engine, "submitTransferWithNotify") { cell throws(TransferError) in
    try submit(cell, batch, entries, count, notification: try NotificationMessage(message))
  }
}

/// `getTransferStatus` of `transfer_engine_c.h`, which describes it.
@c @implementation
public func getTransferStatus(
  _ engine: UnsafeMutableRawPointer?, _ batch: UInt64, _ task: Int, _ status: UnsafeMutablePointer<transfer_status>?
) -> Int32 {
  Calls.status(engine, "getTransferStatus") { cell throws(TransferError) in
    guard let status else { throw TransferError(.invalidArgument, "status is NULL.") }
    let found = try cell.installed { engine throws(TransferError) in
      try engine.status(of: BatchID(rawValue: batch), task: task)
    }
    status.pointee = transfer_status(status: found.state.rawValue, transferred_bytes: found.transferredBytes)
  }
}

/// `freeBatchID` of `transfer_engine_c.h`, which describes it.
@c @implementation
public func freeBatchID(_ engine: UnsafeMutableRawPointer?, _ batch: UInt64) -> Int32 {
  Calls.status(engine, "freeBatchID") { cell throws(TransferError) in
    try cell.installed { engine throws(TransferError) in try engine.freeBatch(BatchID(rawValue: batch)) }
  }
}
