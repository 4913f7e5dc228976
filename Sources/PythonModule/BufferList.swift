internal import TransferEngine

/// Addresses and lengths as buffers to register.
enum BufferList {
  /// - Throws: ``TransferError`` with `invalidArgument` for what cannot be a buffer.
  static func entries(_ addresses: [UInt64], _ lengths: [UInt64]) throws(TransferError) -> [BufferEntry] {
    var entries: [BufferEntry] = []
    entries.reserveCapacity(addresses.count)
    for (address, length) in zip(addresses, lengths) {
      guard let start = UnsafeMutableRawPointer(bitPattern: UInt(address)), let length = Int(exactly: length) else {
        throw TransferError(
          .invalidArgument, "There is no buffer of \(length) bytes at address 0x\(String(address, radix: 16)).")
      }
      entries.append(BufferEntry(start, length: length))
    }
    return entries
  }
}
