internal import Synchronization

/// What an engine's neighbours on the host see of its registrations: a table in shared memory, where an entry says
/// whether it holds at this moment.
///
/// One page of words about the table, then the entries. An entry's first word is odd while it holds, and another number
/// each time.
enum BoardLayout {
  static let magic: UInt64 = 0x4d6f_6f6e_7261_696c
  /// Registrations beyond it are reached by the other ways.
  static let capacity = 1 << 18
  static let headerLength = 4096
  static let entryLength = 32
  static let length = headerLength + capacity * entryLength
  static let magicOffset = 0
  /// Grows with every change.
  static let changesOffset = 8
  /// Entries that were ever used.
  static let countOffset = 16
  /// In a key, bits of the entry's first word; its index is above them.
  static let sequenceBits: UInt64 = 44

  static func offset(_ index: Int) -> Int { headerLength + index * entryLength }

  /// An entry at one moment, as a number.
  static func key(_ index: Int, _ sequence: UInt64) -> UInt64 {
    UInt64(index) << sequenceBits | sequence & ((1 << sequenceBits) - 1)
  }

  /// What neighbours may do, and the file behind the memory, 0 for none.
  static func facts(_ access: RemoteAccess, file: UInt32) -> UInt64 { UInt64(file) << 8 | UInt64(access.rawValue) }

  /// Whether the entry that `key` names still holds. Ordered after the announcement of whoever asks.
  @inline(__always)
  static func holds(_ key: UInt64, in pages: SharedPages) -> Bool {
    let sequence = pages.word(offset(Int(truncatingIfNeeded: key >> sequenceBits)))
      .pointee.load(ordering: .sequentiallyConsistent)
    return (sequence ^ key) & ((1 << sequenceBits) - 1) == 0
  }
}

/// The owner's side of the table.
final class Board: Sendable {
  private struct State {
    var free: [Int] = []
    var used = 0
  }

  let pages: SharedPages
  private let state = Mutex(State())

  init() throws(TransferError) {
    pages = try SharedPages(length: BoardLayout.length)
    pages.word(BoardLayout.magicOffset).pointee.store(BoardLayout.magic, ordering: .releasing)
  }

  /// From now on neighbours may use the memory. Returns its entry; nil if there is no room for one.
  func add(start: UInt, length: Int, access: RemoteAccess, file: UInt32) -> Int? {
    state.withLock { state in
      var index = state.used
      if let free = state.free.popLast() {
        index = free
      } else {
        guard index < BoardLayout.capacity else { return nil }
        state.used += 1
      }
      let offset = BoardLayout.offset(index)
      pages.word(offset + 8).pointee.store(UInt64(start), ordering: .relaxed)
      pages.word(offset + 16).pointee.store(UInt64(length), ordering: .relaxed)
      pages.word(offset + 24).pointee.store(BoardLayout.facts(access, file: file), ordering: .relaxed)
      pages.word(offset).pointee.add(1, ordering: .sequentiallyConsistent)
      pages.word(BoardLayout.countOffset).pointee.store(UInt64(state.used), ordering: .releasing)
      pages.word(BoardLayout.changesOffset).pointee.add(1, ordering: .sequentiallyConsistent)
      return index
    }
  }

  /// From now on nobody begins to use the memory; those who have begun are yet to be waited for.
  func withdraw(_ index: Int) {
    state.withLock { _ in
      let word = pages.word(BoardLayout.offset(index))
      guard word.pointee.load(ordering: .relaxed) & 1 == 1 else { return }
      word.pointee.add(1, ordering: .sequentiallyConsistent)
      pages.word(BoardLayout.changesOffset).pointee.add(1, ordering: .sequentiallyConsistent)
    }
  }

  /// The entry can be used for other memory.
  func release(_ index: Int) { state.withLock { $0.free.append(index) } }
}
