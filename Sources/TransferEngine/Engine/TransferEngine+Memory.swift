extension TransferEngine {
  /// Registers `length` bytes of host memory at `address`, for this engine's transfers and for peers.
  ///
  /// - Parameter location: Where the memory is, `cpu:<node>`; `*` to find out.
  /// - Throws: ``TransferError``: `invalidArgument`, `addressOverlapped`, or `context` with the NIC's reason.
  public func register(
    _ address: UnsafeMutableRawPointer, length: Int, location: String = "*"
  ) throws(TransferError) {
    try register([BufferEntry(address, length: length)], location: location)
  }

  /// Registers several buffers; all or none.
  public func register(_ buffers: [BufferEntry], location: String = "*") throws(TransferError) {
    try gate.enter()
    defer { gate.leave() }
    try installed().1.register(buffers, location: location)
  }

  /// Withdraws the buffer that was registered at `address`. Waits up to 30 seconds for transfers that use it.
  ///
  /// - Throws: ``TransferError``: `addressNotRegistered`, or `busy`, in which case it stays registered.
  public func unregister(_ address: UnsafeMutableRawPointer) throws(TransferError) {
    try gate.enter()
    defer { gate.leave() }
    try installed().1.unregister(UInt(bitPattern: address))
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
