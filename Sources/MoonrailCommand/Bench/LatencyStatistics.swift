/// A histogram of times with a bounded error and a bounded size, however long the run.
///
/// Values below 256 ns have a bucket each; above, every power of two is divided into 128 buckets, so that a percentile
/// is at most 1/128 (0.8 %) above the exact one and never below it. The maximum is exact.
struct LatencyStatistics: Equatable {
  /// The bound on the relative error of a percentile.
  static let relativeError = 1.0 / 128

  private static let exactValues = 256
  private static let bucketsPerOctave = 128

  private var buckets = [UInt64](repeating: 0, count: exactValues + bucketsPerOctave * (64 - 8))
  /// How many times were recorded.
  private(set) var count: UInt64 = 0
  /// The longest, in nanoseconds.
  private(set) var maximum: UInt64 = 0
  private var sum = 0.0

  /// The mean in nanoseconds, 0 of nothing.
  var mean: Double { count == 0 ? 0 : sum / Double(count) }

  /// Adds one time.
  mutating func record(_ nanoseconds: UInt64) {
    buckets[Self.bucket(of: nanoseconds)] += 1
    count += 1
    maximum = max(maximum, nanoseconds)
    sum += Double(nanoseconds)
  }

  /// Adds all times of `other`.
  mutating func merge(_ other: LatencyStatistics) {
    for index in buckets.indices { buckets[index] += other.buckets[index] }
    count += other.count
    maximum = max(maximum, other.maximum)
    sum += other.sum
  }

  /// The time within which `percent` of the recorded ones are, in nanoseconds; 0 of nothing.
  func percentile(_ percent: Double) -> UInt64 {
    guard count > 0 else { return 0 }
    let rank = max(1, UInt64((Double(count) * min(max(percent, 0), 100) / 100).rounded(.up)))
    var seen: UInt64 = 0
    for index in buckets.indices {
      seen += buckets[index]
      if seen >= rank { return min(Self.upperBound(of: index), maximum) }
    }
    return maximum
  }

  private static func bucket(of value: UInt64) -> Int {
    if value < exactValues { return Int(value) }
    // The eight leading bits: the first is always set, the other seven select the bucket.
    let exponent = 63 - value.leadingZeroBitCount
    let leading = Int(truncatingIfNeeded: value >> UInt64(exponent - 7)) - bucketsPerOctave
    return exactValues + (exponent - 8) * bucketsPerOctave + leading
  }

  private static func upperBound(of bucket: Int) -> UInt64 {
    if bucket < exactValues { return UInt64(bucket) }
    let octave = (bucket - exactValues) / bucketsPerOctave
    let leading = UInt64((bucket - exactValues) % bucketsPerOctave + bucketsPerOctave)
    return (leading << UInt64(octave + 1)) &+ ((1 << UInt64(octave + 1)) &- 1)
  }
}
