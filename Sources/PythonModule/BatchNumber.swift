internal import TransferEngine

/// A batch as Python programs number it.
///
/// Some of them take a number from 2^63 on for a failure, and the engine's own become that large in a process that
/// lives long: so its generation, in the upper half, is moved down to the index, which needs 17 bits.
enum BatchNumber {
  private static let indexBits: UInt64 = 17
  private static let mask: UInt64 = (1 << indexBits) - 1

  /// Never 0, and less than 2^49.
  static func number(_ batch: BatchID) -> UInt64 {
    (batch.rawValue >> 32) << indexBits | batch.rawValue & mask
  }

  /// The batch of a number, which need not exist; nil for one that no batch has.
  static func batch(_ number: UInt64) -> BatchID? {
    guard number >> (32 + indexBits) == 0 else { return nil }
    return BatchID(rawValue: (number >> indexBits) << 32 | number & mask)
  }
}
