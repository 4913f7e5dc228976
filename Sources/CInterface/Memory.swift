public import CTransferEngine
internal import DropIn
internal import Synchronization
internal import TransferEngine

extension EngineCell {
  /// Registers memory; without a transport it is remembered for when there is one.
  func register(_ buffers: [BufferEntry], location: String, access: RemoteAccess) throws(TransferError) {
    guard try !remember(buffers, location: location, access: access) else { return }
    try with { engine throws(TransferError) in
      try engine.register(buffers, location: location, remoteAccess: access)
    }
  }

  /// Remembers memory, unless there is a transport.
  private func remember(
    _ buffers: [BufferEntry], location: String, access: RemoteAccess
  ) throws(TransferError) -> Bool {
    let outcome = state.withLock { state in
      Result { () throws(TransferError) -> Bool in
        guard !isInstalled.load(ordering: .acquiring) else { return false }
        var known = state.registrations
        for buffer in buffers {
          let end = buffer.address.addingReportingOverflow(UInt(bitPattern: buffer.length))
          guard buffer.length > 0, !end.overflow else {
            throw TransferError(.invalidArgument, "A buffer of \(buffer.length) bytes cannot be registered.")
          }
          // Ends cannot overflow: they were looked at when the buffer was remembered.
          let isTaken = known.contains {
            $0.buffer.address < end.partialValue && buffer.address < $0.buffer.address &+ UInt($0.buffer.length)
          }
          guard !isTaken else {
            throw TransferError(.addressOverlapped, "The buffer overlaps one that is registered.")
          }
          known.append(Registration(buffer: buffer, location: location, access: access))
        }
        state.registrations = known
        return true
      }
    }
    return try outcome.get()
  }

  /// Withdraws memory.
  func unregister(_ addresses: [UInt]) throws(TransferError) {
    let outcome = state.withLock { state in
      Result { () throws(TransferError) -> Bool in
        guard !isInstalled.load(ordering: .acquiring) else { return false }
        var missing = false
        for address in addresses {
          let place = state.registrations.firstIndex { $0.buffer.address == address }
          if let place { state.registrations.remove(at: place) } else { missing = true }
        }
        guard !missing else { throw TransferError(.addressNotRegistered, "No memory is registered at that address.") }
        return true
      }
    }
    guard try !outcome.get() else { return }
    try with { engine throws(TransferError) in try engine.unregister(addresses) }
  }
}

extension BufferEntry {
  /// A buffer of the caller's.
  init(_ address: UnsafeMutableRawPointer?, checking length: Int) throws(TransferError) {
    guard let address else { throw TransferError(.invalidArgument, "The address of the memory is NULL.") }
    // A length over Int.max arrives as a negative number.
    guard length > 0 else {
      throw TransferError(.invalidArgument, "\(UInt(bitPattern: length)) bytes of memory cannot be registered.")
    }
    self.init(address, length: length)
  }
}

/// `registerLocalMemory` of `transfer_engine_c.h`, which describes it.
@c @implementation
public func registerLocalMemory(
  _ engine: UnsafeMutableRawPointer?, _ address: UnsafeMutableRawPointer?, _ length: Int,
  _ location: UnsafePointer<CChar>?, _ remoteAccessible: Int32
) -> Int32 {
  Calls.code(engine, "registerLocalMemory") { cell throws(TransferError) in
    let buffer = try BufferEntry(address, checking: length)
    try cell.register(
      [buffer], location: try Calls.text(location, "location"), access: remoteAccessible != 0 ? .readWrite : .none)
    return 0
  }
}

/// `unregisterLocalMemory` of `transfer_engine_c.h`, which describes it.
@c @implementation
public func unregisterLocalMemory(_ engine: UnsafeMutableRawPointer?, _ address: UnsafeMutableRawPointer?) -> Int32 {
  Calls.code(engine, "unregisterLocalMemory") { cell throws(TransferError) in
    try cell.unregister([UInt(bitPattern: address)])
    return 0
  }
}

/// `registerLocalMemoryBatch` of `transfer_engine_c.h`, which describes it.
@c @implementation
public func registerLocalMemoryBatch(
  _ engine: UnsafeMutableRawPointer?, _ list: UnsafeMutablePointer<buffer_entry_t>?, _ count: Int,
  _ location: UnsafePointer<CChar>?
) -> Int32 {
  Calls.code(engine, "registerLocalMemoryBatch") { cell throws(TransferError) in
    let location = try Calls.text(location, "location")
    var buffers: [BufferEntry] = []
    for entry in try Calls.elements(list, count, "buffer_list") {
      buffers.append(try BufferEntry(entry.addr, checking: entry.length))
    }
    if !buffers.isEmpty { try cell.register(buffers, location: location, access: .readWrite) }
    return 0
  }
}

/// `unregisterLocalMemoryBatch` of `transfer_engine_c.h`, which describes it.
@c @implementation
public func unregisterLocalMemoryBatch(
  _ engine: UnsafeMutableRawPointer?, _ list: UnsafeMutablePointer<UnsafeMutableRawPointer?>?, _ count: Int
) -> Int32 {
  Calls.code(engine, "unregisterLocalMemoryBatch") { cell throws(TransferError) in
    let addresses = try Calls.elements(list, count, "addr_list").map { UInt(bitPattern: $0) }
    if !addresses.isEmpty { try cell.unregister(addresses) }
    return 0
  }
}
