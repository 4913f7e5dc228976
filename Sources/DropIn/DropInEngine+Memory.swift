internal import Synchronization
public import TransferEngine

extension DropInEngine {
  /// Registers buffers; all or none. `remoteAccess`: what peers may do with them.
  public func register(
    _ buffers: [BufferEntry], location: String = "*", remoteAccess: RemoteAccess = .readWrite
  ) throws(TransferError) {
    let engine = try engine
    for buffer in buffers
    where buffer.length > 0 && !MappedMemory.covers(buffer.address, length: buffer.length)
      && !TransferEngine.isGPUMemory(buffer.address)
    {
      throw TransferError(
        .invalidArgument,
        "There is no memory of \(buffer.length) bytes at 0x\(String(buffer.address, radix: 16)) in this process."
          + (TransferEngine.hasCUDA
            ? " It is no memory of a GPU either." : " For memory of a GPU, the process has to load CUDA first."))
    }
    try engine.register(buffers, location: location, remoteAccess: remoteAccess)
  }

  /// Withdraws the buffers that were registered at `addresses`; attempts all and throws the first error.
  public func unregister(_ addresses: [UInt]) throws(TransferError) {
    let pointers = addresses.compactMap { UnsafeMutableRawPointer(bitPattern: $0) }
    try engine.unregister(pointers)
    guard pointers.count == addresses.count else {
      throw TransferError(.addressNotRegistered, "There is no memory at address 0 to be unregistered.")
    }
  }

  /// Registered memory for `length` bytes, which is the engine's own and goes with it.
  ///
  /// - Throws: ``TransferError``: `invalidArgument`, `memory`, or why it could not be registered.
  public func allocateManaged(_ length: Int) throws(TransferError) -> UnsafeMutableRawPointer {
    let engine = try engine
    guard length > 0 else {
      throw TransferError(.invalidArgument, "A managed buffer needs at least 1 byte, not \(length).")
    }
    let memory = try managed.withLock { managed throws(TransferError) in
      try managed.take(length) { address, length throws(TransferError) in try engine.register(address, length: length) }
    }
    guard let memory else {
      throw TransferError(.memory, "There is no memory for a managed buffer of \(length) bytes.")
    }
    return memory
  }

  /// Takes managed memory back.
  ///
  /// - Throws: ``TransferError``: `addressNotRegistered` for an address that is no managed buffer's.
  public func freeManaged(_ address: UInt) throws(TransferError) {
    let engine = try engine
    let wasTaken = try managed.withLock { managed throws(TransferError) in
      try managed.give(back: address) { address throws(TransferError) in try engine.unregister(address) }
    }
    guard wasTaken else {
      throw TransferError(
        .addressNotRegistered, "There is no managed buffer at 0x\(String(address, radix: 16)), or it was freed before.")
    }
  }

  /// The address of the first buffer that the segment `name` has published; 0 if it has none.
  public func firstBufferAddress(of name: String) throws(TransferError) -> UInt64 {
    let engine = try engine
    let segment = try engine.openSegment(name)
    return try engine.describe(segment).buffers.first?.address ?? 0
  }
}
