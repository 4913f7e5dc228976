internal import CLinux

/// The monotonic clock, in nanoseconds.
enum Clock {
  static var now: UInt64 { clinux_monotonic_ns() }

  /// The moment `duration` from `now`; the end of time where that does not fit.
  static func after(_ duration: Duration, from now: UInt64) -> UInt64 {
    let parts = duration.components
    guard parts.seconds >= 0, parts.attoseconds >= 0 else { return now }
    guard parts.seconds < 9_000_000_000 else { return .max }
    let (sum, overflows) = now.addingReportingOverflow(
      UInt64(parts.seconds) * 1_000_000_000 + UInt64(parts.attoseconds / 1_000_000_000))
    return overflows ? .max : sum
  }
}
