/// Ranges of addresses that do not overlap, each with a value, in the order of the addresses.
///
/// Kept in blocks of a bounded length, so that what adding and removing move is bounded too, whatever the order in which
/// the ranges come: an array would move half of them each time.
struct RangeMap<Value> {
  struct Entry {
    /// The first address.
    let start: UInt
    /// The address after the last.
    let end: UInt
    var value: Value
  }

  /// In order, none of them empty.
  private var blocks: [[Entry]] = []
  private(set) var count = 0

  /// Entries of a block before it is cut into two.
  static var blockLimit: Int { 256 }

  /// Whether any address of `range` is in one of the ranges.
  func overlaps(_ range: Range<UInt>) -> Bool {
    guard let block = block(of: range.lowerBound) else { return false }
    // The first that ends after the range begins: here, or at the beginning of the next block.
    let index = blocks[block].partitioningIndex { $0.end > range.lowerBound }
    if index < blocks[block].count { return blocks[block][index].start < range.upperBound }
    return block + 1 < blocks.count && blocks[block + 1][0].start < range.upperBound
  }

  /// Adds `range`, which must overlap none.
  mutating func insert(_ range: Range<UInt>, _ value: Value) {
    let entry = Entry(start: range.lowerBound, end: range.upperBound, value: value)
    count += 1
    guard let block = block(of: range.lowerBound) else {
      blocks.append([entry])
      return
    }
    let index = blocks[block].partitioningIndex { $0.start > range.lowerBound }
    if blocks[block].count < Self.blockLimit {
      blocks[block].insert(entry, at: index)
    } else if block == blocks.count - 1, index == blocks[block].count {
      // What comes in order fills its blocks.
      blocks.append([entry])
    } else {
      let middle = Self.blockLimit / 2
      let upper = Array(blocks[block][middle...])
      blocks[block].removeSubrange(middle...)
      blocks.insert(upper, at: block + 1)
      if index <= middle {
        blocks[block].insert(entry, at: index)
      } else {
        blocks[block + 1].insert(entry, at: index - middle)
      }
    }
  }

  /// The value of the range that begins at `start`; nil where none does. What is set has to be there.
  subscript(_ start: UInt) -> Value? {
    get {
      guard let (block, index) = place(of: start) else { return nil }
      return blocks[block][index].value
    }
    set {
      guard let newValue, let (block, index) = place(of: start) else { return }
      blocks[block][index].value = newValue
    }
  }

  /// Takes out the range that begins at `start`, if there is one.
  mutating func remove(_ start: UInt) {
    guard let (block, index) = place(of: start) else { return }
    count -= 1
    blocks[block].remove(at: index)
    if blocks[block].isEmpty { blocks.remove(at: block) }
  }

  /// Calls `body` with each, in the order of the addresses.
  func forEach(_ body: (Entry) -> Void) {
    for block in blocks { for entry in block { body(entry) } }
  }

  /// The last block that begins at or before `address`, or else the first; nil where there is none.
  private func block(of address: UInt) -> Int? {
    blocks.isEmpty ? nil : max(0, blocks.partitioningIndex { $0[0].start > address } - 1)
  }

  private func place(of start: UInt) -> (block: Int, index: Int)? {
    guard let block = block(of: start) else { return nil }
    let index = blocks[block].partitioningIndex { $0.start >= start }
    guard index < blocks[block].count, blocks[block][index].start == start else { return nil }
    return (block, index)
  }
}

extension Array {
  /// The first index whose element fulfils `predicate`, in an array in which those that do not come first.
  fileprivate func partitioningIndex(_ predicate: (Element) -> Bool) -> Int {
    var (low, high) = (0, count)
    while low < high {
      let middle = (low + high) / 2
      if predicate(self[middle]) { high = middle } else { low = middle + 1 }
    }
    return low
  }
}
