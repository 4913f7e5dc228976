internal import Synchronization

/// A neighbour's table at one moment, sorted by address.
final class NeighbourView: @unchecked Sendable {
  struct Entry {
    let start: UInt64
    let end: UInt64
    /// Says whether the entry still holds.
    let key: UInt64
    let access: RemoteAccess
    /// The file behind it, 0 for none.
    let file: UInt32
    /// Where `start` is in this process; nil where it is not mapped.
    let mapped: UnsafeMutableRawPointer?
  }

  /// A file of the neighbour's that is mapped here.
  struct Mapping {
    let pages: SharedPages
    /// The address of its first byte in the neighbour's process.
    let base: UInt64
  }

  let pages: SharedPages
  /// The number of changes before it.
  let changes: UInt64
  private let entries: UnsafeMutableBufferPointer<Entry>
  /// Keeps the memory that entries point to.
  private let mappings: [UInt32: Mapping]

  /// Reads the table; of `mappings`, keeps those that it needs.
  init(_ pages: SharedPages, mappings: [UInt32: Mapping]) {
    self.pages = pages
    changes = pages.word(BoardLayout.changesOffset).pointee.load(ordering: .sequentiallyConsistent)
    let count = min(
      Int(truncatingIfNeeded: pages.word(BoardLayout.countOffset).pointee.load(ordering: .acquiring)),
      BoardLayout.capacity)
    var found: [Entry] = []
    found.reserveCapacity(max(0, count))
    for index in 0..<max(0, count) {
      if let entry = Self.entry(index, pages, mappings) { found.append(entry) }
    }
    found.sort { $0.start < $1.start }
    entries = .allocate(capacity: found.count)
    _ = entries.initialize(from: found)
    let needed = Set(found.map(\.file))
    self.mappings = mappings.filter { needed.contains($0.key) }
  }

  deinit { entries.deallocate() }

  /// The files that are mapped.
  var files: [UInt32: Mapping] { mappings }

  var isCurrent: Bool { pages.word(BoardLayout.changesOffset).pointee.load(ordering: .acquiring) == changes }

  /// The entry at one moment; nil if it does not hold, or is being changed.
  private static func entry(_ index: Int, _ pages: SharedPages, _ mappings: [UInt32: Mapping]) -> Entry? {
    let offset = BoardLayout.offset(index)
    let sequence = pages.word(offset).pointee.load(ordering: .acquiring)
    guard sequence & 1 == 1 else { return nil }
    let start = pages.word(offset + 8).pointee.load(ordering: .acquiring)
    let length = pages.word(offset + 16).pointee.load(ordering: .acquiring)
    let facts = pages.word(offset + 24).pointee.load(ordering: .acquiring)
    guard pages.word(offset).pointee.load(ordering: .acquiring) == sequence else { return nil }
    let (end, wraps) = start.addingReportingOverflow(length)
    guard !wraps, length > 0, let access = RemoteAccess(rawValue: UInt8(truncatingIfNeeded: facts)) else { return nil }
    let file = UInt32(truncatingIfNeeded: facts >> 8)
    var mapped: UnsafeMutableRawPointer?
    if file != 0, let mapping = mappings[file], start >= mapping.base,
      end - mapping.base <= UInt64(mapping.pages.length)
    {
      mapped = mapping.pages.base + Int(start - mapping.base)
    }
    return Entry(
      start: start, end: end, key: BoardLayout.key(index, sequence), access: access, file: file, mapped: mapped)
  }

  /// The entry that holds all of `[address, address + length)` and allows `opcode`; nil where none does.
  @inline(__always)
  func entry(of address: UInt64, length: Int, for opcode: TransferOpcode) -> UnsafePointer<Entry>? {
    guard length > 0, let base = entries.baseAddress else { return nil }
    var low = 0
    var high = entries.count
    // The last one that starts at or before the address.
    while low < high {
      let middle = (low &+ high) / 2
      if base[middle].start <= address { low = middle &+ 1 } else { high = middle }
    }
    guard low > 0 else { return nil }
    let entry = base + (low &- 1)
    guard address < entry.pointee.end, UInt64(length) <= entry.pointee.end &- address,
      entry.pointee.access.allows(opcode)
    else { return nil }
    return UnsafePointer(entry)
  }
}
