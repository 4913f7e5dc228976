import Testing

@testable import TransferEngine

@Suite("A progress thread naps for longer the less it is needed")
struct NapLengthTests {
  private func naps(
    _ count: Int, served: Int, of rails: Int = 4, isDrowsy: Bool = false, callers: (Int) -> Int? = { _ in nil }
  ) -> [UInt64] {
    var length = NapLength()
    return (0..<count).map { index in
      length.next(.init(served: served, rails: rails, isDrowsy: isDrowsy, callers: callers(index))) / 1_000
    }
  }

  @Test("Naps double up to a millisecond after a sign of work, and up to five long after the last")
  func alone() {
    #expect(naps(7, served: 0) == [50, 100, 200, 400, 800, 1_000, 1_000])
    #expect(naps(9, served: 0, isDrowsy: true) == [50, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000])
  }

  @Test("Beside callers that leave some rails to it a thread begins with longer naps, and looks every millisecond")
  func besideCallers() {
    #expect(naps(5, served: 2, isDrowsy: true) { _ in 7 } == [200, 400, 800, 1_000, 1_000])
  }

  @Test("Beside a caller that is at one transfer for long and sees to every rail it looks every five milliseconds")
  func besideOneLongTransfer() {
    #expect(naps(8, served: 4) { _ in 7 } == [50, 100, 200, 400, 800, 1_000, 5_000, 5_000])
  }

  @Test("Callers that come and go keep it at a millisecond, and so does a long transfer's end")
  func besideManyTransfers() {
    #expect(naps(8, served: 4) { $0 } == [50, 100, 200, 400, 800, 1_000, 1_000, 1_000])
    #expect(naps(9, served: 4) { $0 / 7 } == [50, 100, 200, 400, 800, 1_000, 5_000, 1_000, 5_000])
    #expect(naps(8, served: 4).last == 1_000)
  }

  @Test("Who was awake begins anew")
  func awake() {
    var length = NapLength()
    for _ in 0..<5 { _ = length.next(.init(served: 0, rails: 1, isDrowsy: false, callers: nil)) }
    length.end()
    #expect(length.last == 0)
    #expect(length.next(.init(served: 0, rails: 1, isDrowsy: false, callers: nil)) == NapLength.shortest)
  }
}
