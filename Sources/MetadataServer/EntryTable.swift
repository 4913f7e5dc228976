internal import NIOCore

/// A change to the entries that a client asks for.
enum EntryChange: Sendable {
  /// `replacing`: the value of an owner that has been found dead.
  case put(EntryKey, ByteBuffer, replacing: ByteBuffer?)
  case delete(EntryKey)

  /// About what it takes to hold it.
  var byteCount: Int {
    switch self {
    case .put(let key, let value, _): return key.bytes.count + value.readableBytes
    case .delete(let key): return key.bytes.count
    }
  }
}

/// What became of a change.
enum ChangeOutcome: Sendable, Equatable {
  case updated
  case unchanged
  case deleted
  case missing
  /// The name has an owner, who said this.
  case taken(ByteBuffer)
  /// There is no room, and why.
  case full(String)
  /// It could not be written down, and was not made.
  case failed(String)
}

/// The entries, within their limits.
struct EntryTable {
  /// What undoes a change.
  struct Undo {
    let key: EntryKey
    let previous: ByteBuffer?
  }

  private(set) var entries: [EntryKey: ByteBuffer] = [:]
  /// Bytes of all keys and values.
  private(set) var byteCount = 0
  let maximumEntries: Int
  let maximumBytes: Int

  init(maximumEntries: Int, maximumBytes: Int) {
    self.maximumEntries = maximumEntries
    self.maximumBytes = maximumBytes
  }

  /// Makes a change if the rules allow it; `undo` is nil when nothing was changed.
  mutating func apply(_ change: EntryChange) -> (outcome: ChangeOutcome, undo: Undo?) {
    switch change {
    case .put(let key, let value, let replacing):
      let previous = entries[key]
      if let previous, key.namesAnOwner, previous != replacing {
        return (previous == value ? .unchanged : .taken(previous), nil)
      }
      if previous == nil && entries.count >= maximumEntries {
        return (.full("\(maximumEntries) entries are kept already; raise --max-entries"), nil)
      }
      let more = value.readableBytes - (previous?.readableBytes ?? -key.bytes.count)
      if more > 0 && more > maximumBytes - byteCount {
        return (.full("\(byteCount) bytes are kept already; raise --max-total-bytes"), nil)
      }
      set(key, value)
      return (.updated, Undo(key: key, previous: previous))
    case .delete(let key):
      guard let previous = entries[key] else { return (.missing, nil) }
      set(key, nil)
      return (.deleted, Undo(key: key, previous: previous))
    }
  }

  /// Undoes the last change that was made and not undone.
  mutating func undo(_ undo: Undo) { set(undo.key, undo.previous) }

  /// Sets or removes an entry, whatever the limits.
  mutating func set(_ key: EntryKey, _ value: ByteBuffer?) {
    let previous = entries[key]
    if let previous { byteCount -= key.bytes.count + previous.readableBytes }
    if let value { byteCount += key.bytes.count + value.readableBytes }
    entries[key] = value
  }
}
