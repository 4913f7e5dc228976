internal import ArgumentParser
internal import Testing

@testable import MoonrailCommand

@Suite("The bench's result says what was measured, in upstream's words")
struct BenchResultTests {
  private func result(
    batches: Int = 1500, seconds: Double = 10.004, unit: String = "GB", shares: [BenchResult.NICShare] = [],
    verified: Int? = nil
  ) throws -> BenchResult {
    let command = try BenchCommand.parse(
      GflagsArguments.normalise(["--segment_id=10.0.0.2:15428", "--report_unit=\(unit)", "--threads=16"]))
    var latency = LatencyStatistics()
    latency.record(1_000_000)
    return BenchResult(
      operation: "write", segment: "10.0.0.2:15428", parameters: try command.options.checked(), seconds: seconds,
      batches: batches, latency: latency, processorSeconds: 6.29, shares: shares, warmupMilliseconds: 1.5,
      verifiedBytes: verified, library: "libfabric 1.17", provider: "efa")
  }

  @Test("The result line is upstream's to the byte")
  func line() throws {
    // 1500 batches of 128 x 64 KiB are 12.58 GB.
    #expect(try result().line == "Test completed: duration 10.00, batch count 1500, throughput 1.26 GB/s")
    #expect(
      try result(unit: "Gb").line == "Test completed: duration 10.00, batch count 1500, throughput 10.06 Gb/s")
    #expect(
      try result(batches: 0, seconds: 0).line == "Test completed: duration 0.00, batch count 0, throughput 0.00 GB/s")
  }

  @Test("Processor time is per 10^9 bytes, and unknown when nothing was moved")
  func processor() throws {
    let perGB = try #require(try result().processorSecondsPerGB)
    #expect(abs(perGB - 0.5) < 0.001)
    #expect(try result(batches: 0).processorSecondsPerGB == nil)
    #expect(try result(batches: 0).json.text.contains("\"processor_seconds_per_gb\":null"))
  }

  @Test("Shares are percentages of what the NICs moved")
  func shares() throws {
    let shares = [BenchResult.NICShare(name: "rdmap0s0", bytes: 300), .init(name: "rdmap1s0", bytes: 100)]
    let summary = try result(shares: shares).summary
    #expect(summary.contains("rdmap0s0 75.0 %, rdmap1s0 25.0 %"))
    let many = (0..<16).map { BenchResult.NICShare(name: "n\($0)", bytes: UInt64(100 + $0)) }
    #expect(try result(shares: many).shareText == "16 NICs, from n0 5.8 % to n15 6.7 %")
    let even = (0..<16).map { BenchResult.NICShare(name: "n\($0)", bytes: 100) }
    #expect(try result(shares: even).shareText == "16 NICs, 6.2 % each")
    let idle = try result(shares: [.init(name: "rdmap0s0", bytes: 0)])
    #expect(idle.percentages.first?.percent == 0)
  }

  @Test("Verification is mentioned when it was done, and only then")
  func verified() throws {
    #expect(try result(verified: 4096).summary.contains("4096 bytes, every one as expected"))
    #expect(try !result().summary.contains("verified"))
    #expect(try result(verified: 4096).json.text.contains("\"verified_bytes\":4096"))
  }

  @Test("JSON is one line, in order, with its strings escaped")
  func json() throws {
    let text = try result().json.text
    #expect(text.hasPrefix("{\"operation\":\"write\",\"segment\":\"10.0.0.2:15428\",\"threads\":16,"))
    #expect(!text.contains("\n"))
    let odd = JSONText.object([("a\"b", .string("\\\n\u{1}é")), ("x", .array([.boolean(true), .integer(2)]))])
    #expect(odd.text == #"{"a\"b":"\\\n\u0001é","x":[true,2]}"#)
    #expect(JSONText.number(.infinity, digits: 2).text == "null")
  }

  @Test("The line that scripts look for on a target, and how it is read")
  func listening() {
    let line = TargetRun.listeningLine("10.0.0.2:15428")
    #expect(line == "Transfer Engine RPC using P2P handshake, listening on 10.0.0.2:15428")
    #expect(TargetRun.listeningName(in: "I 02:26:11.123 moonrail] " + line) == "10.0.0.2:15428")
    #expect(TargetRun.listeningName(in: "listening on [::1]:15428, 2 NICs") == "[::1]:15428,")
    #expect(TargetRun.listeningName(in: "listening on nothing") == nil)
    #expect(TargetRun.listeningName(in: "something else") == nil)
  }
}
