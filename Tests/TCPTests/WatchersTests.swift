internal import Testing

@testable internal import TransferEngine

@Suite("TCP: callers that look for an answer without sleeping are few")
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
}
