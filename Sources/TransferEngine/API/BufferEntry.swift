/// A buffer to register: where it is and how long.
public struct BufferEntry: Sendable {
  /// The first byte.
  public var address: UInt
  /// Bytes.
  public var length: Int

  /// The buffer of `length` bytes at `address`.
  public init(_ address: UnsafeMutableRawPointer, length: Int) {
    self.address = UInt(bitPattern: address)
    self.length = length
  }
}
