/// The direction of a one-sided transfer, with upstream's numbers.
public enum TransferOpcode: Int32, Sendable {
  /// From the peer's memory into the caller's.
  case read = 0
  /// From the caller's memory into the peer's.
  case write = 1
}

/// One contiguous piece of memory to move between this host and a segment.
public struct TransferRequest: Sendable {
  /// Read or write.
  public var opcode: TransferOpcode
  /// The segment at the far end, as ``TransferEngine/openSegment(_:)`` returned it.
  public var target: SegmentID
  /// The address on this side, inside a registered buffer: the source of a write, the destination of a read.
  public var local: UInt
  /// The address on the far side: a virtual address of the peer's process, inside a buffer that it registered.
  public var remote: UInt64
  /// Bytes to move. Zero is legal and completes at once.
  public var length: Int

  /// Describes a transfer of `length` bytes between `local` here and `remote` in the segment `target`.
  public init(
    _ opcode: TransferOpcode, local: UnsafeMutableRawPointer, target: SegmentID, remote: UInt64, length: Int
  ) {
    self.opcode = opcode
    self.target = target
    self.local = UInt(bitPattern: local)
    self.remote = remote
    self.length = length
  }
}
