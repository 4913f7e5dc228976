internal import Wire

/// What can be wrong with a request before it is under way.
extension TransferError {
  @inline(never)
  static func negativeLength(_ request: TransferRequest, _ index: Int) -> TransferError {
    TransferError(.invalidArgument, "Request \(index) has a negative length, \(request.length).")
  }

  @inline(never)
  static func unregistered(_ request: TransferRequest, _ index: Int, at address: UInt) -> TransferError {
    TransferError(
      .addressNotRegistered,
      "Request \(index): the local address 0x\(String(address, radix: 16)) (\(request.length) bytes from"
        + " 0x\(String(request.local, radix: 16))) is in no registered buffer. Register it first.")
  }

  @inline(never)
  static func beyondAllMemory(_ request: TransferRequest, _ index: Int) -> TransferError {
    TransferError(
      .invalidArgument,
      "Request \(index): \(request.length) bytes from the local address 0x\(String(request.local, radix: 16)) go beyond"
        + " the last address there is. Check the address and the length.")
  }

  @inline(never)
  static func unpublished(
    _ request: TransferRequest, _ index: Int, at address: UInt64, by peer: PeerSnapshot
  ) -> TransferError {
    TransferError(
      .metadata,
      "Request \(index): \(peer.header.name) has published no buffer at 0x\(String(address, radix: 16))"
        + " (\(request.length) bytes from 0x\(String(request.remote, radix: 16))). Check the address, and that the peer"
        + " has registered it.")
  }
}
