/// What throughput is reported in; `b` is a bit, `B` a byte.
enum ReportUnit: String, CaseIterable {
  case GB, GiB, Gb, MB, MiB, Mb, KB, KiB, Kb

  /// Bytes in one unit.
  var bytes: Double {
    switch self {
    case .GB: return 1e9
    case .GiB: return 1_073_741_824
    case .Gb: return 1e9 / 8
    case .MB: return 1e6
    case .MiB: return 1_048_576
    case .Mb: return 1e6 / 8
    case .KB: return 1e3
    case .KiB: return 1024
    case .Kb: return 1e3 / 8
    }
  }

  /// `bytes` in `seconds` as `1.23 GB/s`; nothing moved in no time is 0.
  func rate(bytes: Double, seconds: Double, precision: Int) -> String {
    let rate = seconds > 0 ? bytes / seconds / self.bytes : 0
    return "\(rate.fixed(precision)) \(rawValue)/s"
  }
}
