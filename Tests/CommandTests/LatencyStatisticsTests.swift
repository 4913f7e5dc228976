internal import Testing

@testable import MoonrailCommand

@Suite("Percentiles are within the stated error of the exact ones")
struct LatencyStatisticsTests {
  /// The exact percentile by the same rule: the smallest value with that many percent at or below it.
  private func exact(_ values: [UInt64], _ percent: Double) -> UInt64 {
    let sorted = values.sorted()
    return sorted[max(1, Int((Double(sorted.count) * percent / 100).rounded(.up))) - 1]
  }

  @Test("Random times from nanoseconds to minutes", arguments: [1, 2, 3, 7, 100, 10_000])
  func random(count: Int) {
    var generator = SystemRandomNumberGenerator()
    let values = (0..<count).map { _ in UInt64.random(in: 0...(1 << UInt64.random(in: 1...36)), using: &generator) }
    var statistics = LatencyStatistics()
    for value in values { statistics.record(value) }
    for percent in [0, 1, 25, 50, 90, 99, 99.9, 100] {
      let found = statistics.percentile(percent)
      let expected = exact(values, percent)
      #expect(found >= expected, "p\(percent)")
      #expect(Double(found) <= Double(expected) * (1 + LatencyStatistics.relativeError), "p\(percent)")
    }
    #expect(statistics.maximum == values.max())
    #expect(statistics.count == UInt64(count))
  }

  @Test("Below 256 ns percentiles are exact")
  func small() {
    var statistics = LatencyStatistics()
    for value in UInt64(1)...100 { statistics.record(value) }
    #expect(statistics.percentile(50) == 50)
    #expect(statistics.percentile(99) == 99)
    #expect(statistics.percentile(100) == 100)
    #expect(statistics.mean == 50.5)
  }

  @Test("The largest and the smallest of all times have a place", arguments: [0, 255, 256, 257, 511, 512, UInt64.max])
  func extremes(value: UInt64) {
    var statistics = LatencyStatistics()
    statistics.record(value)
    #expect(statistics.percentile(50) == value)
    #expect(statistics.maximum == value)
  }

  @Test("Nothing recorded is zero, not a trap")
  func empty() {
    let statistics = LatencyStatistics()
    #expect(statistics.percentile(99) == 0)
    #expect(statistics.mean == 0)
  }

  @Test("Merging gives what recording everything in one place gives")
  func merge() {
    var both = LatencyStatistics()
    var parts = [LatencyStatistics(), LatencyStatistics()]
    for value in stride(from: UInt64(10), to: 1_000_000, by: 777) {
      both.record(value)
      parts[Int(value % 2)].record(value)
    }
    var merged = parts[0]
    merged.merge(parts[1])
    #expect(merged.percentile(90) == both.percentile(90))
    #expect(merged.count == both.count)
    #expect(merged.maximum == both.maximum)
  }
}
