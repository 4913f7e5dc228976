internal import Glibc
internal import Testing

@testable internal import TransferEngine

@Suite("TCP: those who look for bytes without sleeping are few, and miss nothing")
struct WatchersTests {
  @Test("as many as may, and another one when one has left", arguments: [0, 1, 3])
  func limit(_ limit: Int) {
    let watchers = Watchers(limit: limit)
    var entered = 0
    for _ in 0..<limit + 3 where watchers.enter() { entered += 1 }
    #expect(entered == limit)
    guard limit > 0 else { return }
    watchers.leave()
    for _ in 0..<3 where watchers.enter() { entered += 1 }
    #expect(entered == limit + 1)
  }

  /// What a receiver comes to, call by call; -1 is nothing yet.
  private func look(_ results: [Int], limit: Int = 1, since start: UInt64 = Clock.now) -> (result: Int?, calls: Int) {
    let watchers = Watchers(limit: limit)
    var calls = 0
    let result = watchers.look(since: start) {
      defer { calls += 1 }
      errno = EAGAIN
      return calls < results.count ? results[calls] : -1
    }
    #expect(watchers.enter() == (limit > 0), "whoever has looked has left")
    return (result, calls)
  }

  @Test("bytes are handed over, and an end too")
  func something() {
    #expect(look([16]).result == 16)
    #expect(look([0]).result == 0)
  }

  @Test("an error is handed over with its number")
  func error() {
    let watchers = Watchers(limit: 1)
    let result = watchers.look(since: Clock.now) {
      errno = ECONNRESET
      return -1
    }
    #expect(result == -1)
    #expect(errno == ECONNRESET)
  }

  @Test("who finds nothing in time looks once and gives up")
  func late() {
    let (result, calls) = look([-1, 16], since: 0)
    #expect(result == nil)
    #expect(calls == 1)
  }

  @Test("where nobody may look nothing is received")
  func noRoom() {
    let (result, calls) = look([16], limit: 0)
    #expect(result == nil)
    #expect(calls == 0)
  }
}
