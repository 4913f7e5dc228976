internal import Testing

@testable import MoonrailCommand

@Suite("Throughput is reported in the unit that was asked for")
struct ReportUnitTests {
  @Test(
    "10^9 bytes in a second, in every unit",
    arguments: [
      ("GB", "1.00 GB/s"), ("GiB", "0.93 GiB/s"), ("Gb", "8.00 Gb/s"), ("MB", "1000.00 MB/s"),
      ("MiB", "953.67 MiB/s"), ("Mb", "8000.00 Mb/s"), ("KB", "1000000.00 KB/s"), ("KiB", "976562.50 KiB/s"),
      ("Kb", "8000000.00 Kb/s"),
    ])
  func units(name: String, text: String) throws {
    let unit = try #require(ReportUnit(rawValue: name))
    #expect(unit.rate(bytes: 1e9, seconds: 1, precision: 2) == text)
  }

  @Test("The precision counts digits after the point")
  func precision() {
    #expect(ReportUnit.GB.rate(bytes: 1_234_567_890, seconds: 1, precision: 0) == "1 GB/s")
    #expect(ReportUnit.GB.rate(bytes: 1_234_567_890, seconds: 1, precision: 5) == "1.23457 GB/s")
  }

  @Test("No time is no throughput")
  func noTime() {
    #expect(ReportUnit.GB.rate(bytes: 1, seconds: 0, precision: 2) == "0.00 GB/s")
  }

  @Test("Times and sizes read well")
  func texts() {
    #expect(durationText(nanoseconds: 812) == "0.8 us")
    #expect(durationText(nanoseconds: 3_420_000) == "3.42 ms")
    #expect(durationText(nanoseconds: 1_250_000_000) == "1.250 s")
    #expect(byteText(65536) == "64 KiB")
    #expect(byteText(4_096_000) == "4000 KiB")
    #expect(byteText(1_000_001) == "1000001 B")
    #expect(byteText(1 << 30) == "1 GiB")
  }

  @Test("A table's columns are as wide as their widest cell")
  func table() {
    #expect(textTable(["a", "long"], [["wide", "x"], ["b", ""]]) == "a     long\nwide  x\nb")
  }
}
