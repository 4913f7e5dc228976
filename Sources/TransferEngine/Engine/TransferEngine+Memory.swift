extension TransferEngine {
  /// Registers `length` bytes of host memory at `address`, for this engine's transfers and for peers.
  ///
  /// - Parameters:
  ///   - location: Where the memory is, `cpu:<node>`; `*` to find out.
  ///   - remoteAccess: What peers may do with it. What they may not is refused whoever asks.
  /// - Throws: ``TransferError``: `invalidArgument`, `addressOverlapped`, or `context` with the NIC's reason.
  public func register(
    _ address: UnsafeMutableRawPointer, length: Int, location: String = "*", remoteAccess: RemoteAccess = .readWrite
  ) throws(TransferError) {
    try register([BufferEntry(address, length: length)], location: location, remoteAccess: remoteAccess)
  }

  /// Registers several buffers; all or none.
  public func register(
    _ buffers: [BufferEntry], location: String = "*", remoteAccess: RemoteAccess = .readWrite
  ) throws(TransferError) {
    try gate.enter()
    defer { gate.leave() }
    try checkInstalled()
    try registry.register(buffers, location: location, access: remoteAccess)
  }

  /// Withdraws the buffer that was registered at `address`. Waits up to 30 seconds for transfers that use it.
  ///
  /// - Throws: ``TransferError``: `addressNotRegistered`, or `busy`, in which case it stays registered.
  public func unregister(_ address: UnsafeMutableRawPointer) throws(TransferError) {
    try gate.enter()
    defer { gate.leave() }
    try checkInstalled()
    try registry.unregister(UInt(bitPattern: address))
  }

  /// Withdraws several buffers; attempts all and throws the first error.
  public func unregister(_ addresses: [UnsafeMutableRawPointer]) throws(TransferError) {
    var first: TransferError?
    for address in addresses {
      do { try unregister(address) } catch { first = first ?? error }
    }
    if let first { throw first }
  }
}
