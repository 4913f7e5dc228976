internal import Synchronization

/// A page in which the threads of one process announce that they are about to touch a neighbour's memory.
///
/// Each has a word of its own, odd while it touches. A thread announces itself, and looks then whether the registration
/// still holds; its owner withdraws the registration, and looks then who has announced himself. In whatever order that
/// happens, one of the two sees the other.
final class Slots: @unchecked Sendable {
  static let count = 64
  static let length = 4096
  private static let stride = length / count

  let pages: SharedPages
  /// Those that a thread of this process has; of no use to the other side.
  private let taken = Atomic<UInt64>(0)

  init(_ pages: SharedPages) { self.pages = pages }

  // MARK: Those who copy

  /// A place for this thread; nil while all of them are in use.
  func take() -> Int? {
    var seen = taken.load(ordering: .relaxed)
    while seen != .max {
      let index = (~seen).trailingZeroBitCount
      let outcome = taken.weakCompareExchange(
        expected: seen, desired: seen | 1 << UInt64(index), successOrdering: .acquiring, failureOrdering: .relaxed)
      if outcome.exchanged { return index }
      seen = outcome.original
    }
    return nil
  }

  func giveBack(_ index: Int) { taken.bitwiseAnd(~(1 << UInt64(index)), ordering: .releasing) }

  /// Whether no thread has a place.
  var isIdle: Bool { taken.load(ordering: .acquiring) == 0 }

  /// From here to ``leave(_:)``, nothing that still holds is withdrawn.
  @inline(__always)
  func enter(_ index: Int) { word(index).pointee.add(1, ordering: .sequentiallyConsistent) }
  @inline(__always)
  func leave(_ index: Int) { word(index).pointee.add(1, ordering: .sequentiallyConsistent) }

  // MARK: The owner of the memory

  /// Those who touch something now: each place with what it says.
  var busy: [(index: Int, value: UInt64)] {
    (0..<Self.count).compactMap { index in
      let value = word(index).pointee.load(ordering: .sequentiallyConsistent)
      return value & 1 == 1 ? (index, value) : nil
    }
  }

  /// Whether the place still says the same.
  func says(_ value: UInt64, at index: Int) -> Bool { word(index).pointee.load(ordering: .acquiring) == value }

  @inline(__always)
  private func word(_ index: Int) -> SharedPages.Word { pages.word(index &* Self.stride) }
}
