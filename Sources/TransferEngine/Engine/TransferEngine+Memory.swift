internal import Cuda

extension TransferEngine {
  /// Whether this process has CUDA: NVIDIA's driver library is loaded, which the engine never does by itself. Memory of
  /// its GPUs can be registered then.
  public static var hasCUDA: Bool { CUDADriver.mapped != nil }

  /// Whether `address` is in memory of a GPU, which the processor must not touch.
  public static func isGPUMemory(_ address: UInt) -> Bool {
    switch try? CUDADriver.mapped?.kind(of: address) {
    case .device?: true
    default: false
    }
  }

  /// Registers `length` bytes at `address`, of the host or of a GPU, for this engine's transfers and for peers.
  ///
  /// - Parameters:
  ///   - location: Where the memory is, `cpu:<node>` or `cuda:<number>`; `*` to find out. That memory is a GPU's is found out in
  ///     any case.
  ///   - remoteAccess: What peers may do with it. What they may not is refused whoever asks.
  /// - Throws: ``TransferError``: `invalidArgument`, `addressOverlapped`, `context` with the NIC's reason, `memory`
  ///   if the driver cannot tell whose it is, or why the
  ///   metadata store could not be told. Nothing is registered then.
  public func register(
    _ address: UnsafeMutableRawPointer, length: Int, location: String = "*", remoteAccess: RemoteAccess = .readWrite
  ) throws(TransferError) {
    try register([BufferEntry(address, length: length)], location: location, remoteAccess: remoteAccess)
  }

  /// Registers several buffers; all or none. A metadata store is told once.
  public func register(
    _ buffers: [BufferEntry], location: String = "*", remoteAccess: RemoteAccess = .readWrite
  ) throws(TransferError) {
    try gate.enter()
    defer { gate.leave() }
    try checkInstalled()
    try registry.register(buffers, location: location, access: remoteAccess)
    guard let publication, !buffers.isEmpty else { return }
    do throws(TransferError) {
      try publication.publish()
    } catch {
      for buffer in buffers { try? registry.unregister(buffer.address) }
      throw TransferError(error.code, "The memory stays unregistered, because peers cannot be told: \(error.message)")
    }
  }

  /// Withdraws the buffer that was registered at `address`. Waits up to 30 seconds for transfers that use it.
  ///
  /// - Throws: ``TransferError``: `addressNotRegistered`, or `busy`, in which case it stays registered.
  public func unregister(_ address: UnsafeMutableRawPointer) throws(TransferError) { try unregister([address]) }

  /// Withdraws several buffers; attempts all and throws the first error.
  public func unregister(_ addresses: [UnsafeMutableRawPointer]) throws(TransferError) {
    try gate.enter()
    defer { gate.leave() }
    try checkInstalled()
    var first: TransferError?
    var count = 0
    for address in addresses {
      do throws(TransferError) {
        try registry.unregister(UInt(bitPattern: address))
        count += 1
      } catch {
        first = first ?? error
      }
    }
    if let publication, count > 0 {
      do throws(TransferError) {
        try publication.publish()
      } catch {
        let message = "The memory is unregistered, but the metadata store still lists it: \(error.message)"
        first = first ?? TransferError(error.code, message)
      }
    }
    if let first { throw first }
  }
}
