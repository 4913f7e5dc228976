/// A segment that was opened: the registered memory of one peer (or of this engine) under its name.
public struct SegmentID: Hashable, Sendable, CustomStringConvertible {
  /// The number that upstream's interfaces show: 0 is this engine's own segment, others count up in order of opening.
  public let rawValue: UInt64

  /// The segment with this number, which need not exist.
  public init(rawValue: UInt64) { self.rawValue = rawValue }

  /// This engine's own segment.
  public static let local = SegmentID(rawValue: 0)

  /// The number in decimal.
  public var description: String { String(rawValue) }
}

/// A batch of transfers that are submitted, awaited and freed together.
///
/// The value carries a generation: a batch that was freed is recognised and refused, never followed.
public struct BatchID: Hashable, Sendable, CustomStringConvertible {
  /// An opaque number: never 0, and less than 2^49, since some programs take one from 2^63 on for a failure.
  public let rawValue: UInt64

  /// The batch with this number, which need not exist.
  public init(rawValue: UInt64) { self.rawValue = rawValue }

  /// The number in hexadecimal.
  public var description: String { "0x" + String(rawValue, radix: 16) }
}
