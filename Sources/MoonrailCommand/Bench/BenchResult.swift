internal import TransferEngine

/// What an engine has counted up to now.
struct EngineCounters {
  var nics: [NICDescription]
  var tcp: TCPStatistics?
  var sameHost: SameHostStatistics?

  init(_ engine: TransferEngine) {
    nics = engine.nics
    tcp = engine.tcpStatistics
    sameHost = engine.sameHostStatistics
  }
}

/// What a run has measured.
struct BenchResult {
  /// What one NIC, or another path, has moved during the run.
  struct NICShare: Equatable {
    var name: String
    var bytes: UInt64
  }

  var operation: String
  var segment: String
  var parameters: RunParameters
  var seconds: Double
  var batches: Int
  var latency: LatencyStatistics
  var processorSeconds: Double
  var shares: [NICShare]
  var warmupMilliseconds: Double
  /// nil: not asked for.
  var verifiedBytes: Int?
  var library: String?
  var provider: String?

  /// Bytes of the batches that completed.
  var bytes: Double { Double(batches) * Double(parameters.batchSize) * Double(parameters.blockSize) }

  private var rate: String {
    parameters.unit.rate(bytes: bytes, seconds: seconds, precision: parameters.precision)
  }

  /// Upstream's result line.
  var line: String {
    "Test completed: duration \(seconds.fixed(2)), batch count \(batches), throughput \(rate)"
  }

  /// Processor seconds of this process for 10^9 bytes; nil when nothing was moved.
  var processorSecondsPerGB: Double? { bytes > 0 ? processorSeconds / (bytes / 1e9) : nil }

  /// NICs with their part of what was moved, in percent.
  var percentages: [(name: String, percent: Double)] {
    let total = shares.reduce(0.0) { $0 + Double($1.bytes) }
    return shares.map { ($0.name, total > 0 ? Double($0.bytes) / total * 100 : 0) }
  }

  /// The percentages for people: each where there are few NICs, the extremes where there are many.
  var shareText: String {
    func text(_ share: (name: String, percent: Double)) -> String { "\(share.name) \(share.percent.fixed(1)) %" }
    let all = percentages
    guard
      all.count > 8, let least = all.min(by: { $0.percent < $1.percent }),
      let most = all.max(by: { $0.percent < $1.percent })
    else { return all.map(text).joined(separator: ", ") }
    if text((least.name, most.percent)) == text(least) { return "\(all.count) NICs, \(least.percent.fixed(1)) % each" }
    return "\(all.count) NICs, from \(text(least)) to \(text(most))"
  }

  /// Counters at the end less those at the beginning; TCP's where it is all there is, or has moved something, and those
  /// of the paths within the host where they have.
  static func shares(before: EngineCounters, after: EngineCounters) -> [NICShare] {
    let base = Dictionary(before.nics.map { ($0.name, $0.transferredBytes) }) { first, _ in first }
    let near = [
      ("process_vm", after.sameHost?.copiedBytes, before.sameHost?.copiedBytes),
      ("shared memory", after.sameHost?.mappedBytes, before.sameHost?.mappedBytes),
    ].map { NICShare(name: $0.0, bytes: ($0.1 ?? 0) &- ($0.2 ?? 0)) }.filter { $0.bytes > 0 }
    let nics = near + after.nics.map { NICShare(name: $0.name, bytes: $0.transferredBytes &- (base[$0.name] ?? 0)) }
    guard let tcp = after.tcp else { return nics }
    let bytes = tcp.initiated.bytes &- (before.tcp?.initiated.bytes ?? 0)
    return bytes > 0 || nics.isEmpty ? nics + [NICShare(name: "tcp", bytes: bytes)] : nics
  }

  /// The result for people.
  var summary: String {
    func line(_ name: String, _ value: String) -> String { "  \(name.padded(right: 18))\(value)" }
    func time(_ percent: Double) -> String { durationText(nanoseconds: latency.percentile(percent)) }
    let shape = """
      \(parameters.threads) thread(s) x \(parameters.batchSize) x \(byteText(parameters.blockSize))
      """
    var lines = ["\(operation) to \(segment), \(shape)"]
    if let provider { lines.append(line("provider", library.map { "\(provider), \($0)" } ?? provider)) }
    lines.append(line("warm-up", "\(warmupMilliseconds.fixed(2)) ms"))
    lines.append(line("throughput", rate))
    lines.append(line("batches", "\(batches) in \(seconds.fixed(2)) s"))
    lines.append(
      line(
        "batch latency",
        "p50 \(time(50)), p90 \(time(90)), p99 \(time(99)), max \(durationText(nanoseconds: latency.maximum))"))
    lines.append(line("", "(histogram: a percentile is at most 0.8 % too high; the maximum is exact)"))
    if let processorSecondsPerGB {
      lines.append(line("processor time", "\(processorSecondsPerGB.fixed(3)) s per GB, this process"))
    }
    if !shares.isEmpty { lines.append(line("share per path", shareText)) }
    lines.append(line("failures", "0"))
    if let verifiedBytes { lines.append(line("verified", "\(verifiedBytes) bytes, every one as expected")) }
    return lines.joined(separator: "\n")
  }

  /// The result for programs.
  var json: JSONText {
    func microseconds(_ nanoseconds: UInt64) -> JSONText { .number(Double(nanoseconds) / 1e3, digits: 3) }
    var members: [(String, JSONText)] = [
      ("operation", .string(operation)), ("segment", .string(segment)),
      ("threads", .integer(UInt64(parameters.threads))), ("batch_size", .integer(UInt64(parameters.batchSize))),
      ("block_size", .integer(UInt64(parameters.blockSize))), ("duration_s", .number(seconds, digits: 6)),
      ("batch_count", .integer(UInt64(batches))), ("bytes", .number(bytes, digits: 0)),
      ("throughput_bytes_per_s", .number(seconds > 0 ? bytes / seconds : 0, digits: 0)),
      (
        "batch_latency_us",
        .object([
          ("p50", microseconds(latency.percentile(50))), ("p90", microseconds(latency.percentile(90))),
          ("p99", microseconds(latency.percentile(99))), ("max", microseconds(latency.maximum)),
          ("mean", .number(latency.mean / 1e3, digits: 3)),
        ])
      ),
      ("warmup_ms", .number(warmupMilliseconds, digits: 3)),
      ("processor_seconds_per_gb", .number(processorSecondsPerGB ?? .nan, digits: 6)),
      (
        "nics",
        .array(
          zip(shares, percentages).map { share, part in
            .object([
              ("name", .string(share.name)), ("bytes", .integer(share.bytes)),
              ("percent", .number(part.percent, digits: 2)),
            ])
          })
      ),
      ("failures", .integer(0)),
    ]
    if let provider { members.append(("provider", .string(provider))) }
    if let verifiedBytes { members.append(("verified_bytes", .integer(UInt64(verifiedBytes)))) }
    return .object(members)
  }
}
