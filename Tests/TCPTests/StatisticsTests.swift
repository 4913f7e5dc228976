internal import Glibc
internal import TestSupport
internal import Testing
internal import Wire

@testable internal import TransferEngine

@Suite("TCP: what is counted", .serialized)
struct StatisticsTests {
  @Test("bytes, operations and failures, on both sides, of connections that live and of those that do not")
  func counts() throws {
    let pair = try Pair(length: 1 << 20)
    #expect(try pair.move(.write, block: 1000, count: 100).state == .completed)
    #expect(try pair.move(.read, block: 500, count: 10).state == .completed)
    let moved = TCPStatistics.Counts(bytes: 105_000, operations: 110)
    #expect(pair.engine.tcpStatistics == TCPStatistics(initiated: moved, served: TCPStatistics.Counts()))
    #expect(try served(pair, becomes: "105000 110 0") == "105000 110 0")

    try pair.stream.breakConnections()
    #expect(try pair.move(.write, block: 1000, count: 1).state == .completed)
    #expect(try served(pair, becomes: "106000 111 0") == "106000 111 0")

    #expect(try pair.peer.ask("unregister") == "ok")
    #expect(try pair.move(.write, block: 1000, count: 1).state == .failed)
    #expect(
      pair.engine.tcpStatistics?.initiated == TCPStatistics.Counts(bytes: 106_000, operations: 111, failures: 1))
    #expect(try served(pair, becomes: "106000 111 1") == "106000 111 1")
  }

  /// What the peer has served; it counts when it has answered, which may be a moment after the answer is here.
  private func served(_ pair: Pair, becomes expected: String) throws -> String {
    var last = ""
    for _ in 0..<1000 where last != expected {
      last = try pair.peer.ask("tcp").split(separator: " ").dropFirst(4).joined(separator: " ")
      if last != expected { usleep(10_000) }
    }
    return last
  }
}
