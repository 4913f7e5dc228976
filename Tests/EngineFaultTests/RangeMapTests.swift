import Testing

@testable import TransferEngine

@Suite struct RangeMapTests {
  /// Places of 10,000 ranges, whose neighbours touch.
  private static let places = 10_000

  enum Order: CaseIterable { case rising, falling, random }

  private func places(_ order: Order) -> [UInt] {
    let rising = (0..<UInt(Self.places)).map { 4096 + $0 * 16 }
    switch order {
    case .rising: return rising
    case .falling: return rising.reversed()
    case .random:
      // A step that has no factor in common with the number goes to each once.
      return rising.indices.map { rising[$0 * 7919 % Self.places] }
    }
  }

  @Test(arguments: Order.allCases)
  func rangesThatTouchAreToldApart(order: Order) {
    var map = RangeMap<UInt>()
    for start in places(order) {
      #expect(!map.overlaps(start..<start + 16))
      map.insert(start..<start + 16, start)
      #expect(map.overlaps(start + 15..<start + 16) && map.overlaps(start..<start + 1))
    }
    #expect(map.count == Self.places)
    var last: UInt = 0
    map.forEach { entry in
      #expect(entry.start > last && entry.value == entry.start && entry.end == entry.start + 16)
      last = entry.start
    }
    #expect(!map.overlaps(0..<4096) && map.overlaps(0..<4097))
    #expect(!map.overlaps(last + 16..<UInt.max) && map.overlaps(last + 15..<UInt.max))
  }

  @Test(arguments: Order.allCases)
  func whatIsTakenOutOfTheMiddleLeavesAGapAndNothingElse(order: Order) {
    var map = RangeMap<UInt>()
    for start in places(.random) { map.insert(start..<start + 16, start) }
    // All but every tenth.
    for start in places(order) where (start - 4096) / 16 % 10 != 0 {
      map.remove(start + 1)
      #expect(map[start] == start)
      map.remove(start)
      #expect(map[start] == nil && !map.overlaps(start..<start + 16))
    }
    #expect(map.count == Self.places / 10)
    for start in places(.rising) where (start - 4096) / 16 % 10 == 0 {
      #expect(map[start] == start)
      #expect(map.overlaps(start - 100..<start + 1) && map.overlaps(start + 15..<start + 100))
      if start < 4096 + 16 * UInt(Self.places - 10) { #expect(!map.overlaps(start + 16..<start + 160)) }
    }
  }

  @Test func itSaysWhatASimplerOneSays() {
    var map = RangeMap<Int>()
    var simple: [(range: Range<UInt>, value: Int)] = []
    var random = Seeded(state: 11)
    for step in 0..<20_000 {
      let start = UInt(random.next() % 60_000)
      let range = start..<start + 1 + UInt(random.next() % 40)
      let overlapping = simple.contains { $0.range.overlaps(range) }
      #expect(map.overlaps(range) == overlapping)
      if !overlapping {
        map.insert(range, step)
        simple.append((range, step))
      } else if random.next() % 2 == 0, let victim = simple.indices.randomElement(using: &random) {
        let gone = simple.remove(at: victim)
        #expect(map[gone.range.lowerBound] == gone.value)
        map.remove(gone.range.lowerBound)
      }
    }
    #expect(map.count == simple.count && simple.count > 500)
    var found: [Int] = []
    map.forEach { found.append($0.value) }
    #expect(found == simple.sorted { $0.range.lowerBound < $1.range.lowerBound }.map(\.value))
    for entry in simple {
      map[entry.range.lowerBound] = -entry.value
      #expect(map[entry.range.lowerBound] == -entry.value)
      map.remove(entry.range.lowerBound)
    }
    #expect(map.count == 0 && !map.overlaps(0..<UInt.max))
  }
}

/// The same numbers every time.
private struct Seeded: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
    return state >> 17 ^ state >> 41
  }
}
