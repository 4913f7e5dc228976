internal import Logging
internal import NIOCore
internal import Synchronization

/// The entries, shared by all connections.
final class EntryStore: Sendable {
  private let table: Mutex<EntryTable>
  private let journal: Journal?

  /// Reads what the file holds. Blocks.
  init(_ options: MetadataServerOptions, logger: Logger) throws(MetadataServerError) {
    var table = EntryTable(maximumEntries: options.maximumEntries, maximumBytes: options.maximumTotalBytes)
    journal = try options.persistencePath.map { (path) throws(MetadataServerError) in
      Journal(try JournalFile(path, logger: logger) { table.set($0, $1) }, logger: logger)
    }
    self.table = Mutex(table)
    guard let journal else { return }
    let entries = table.entries
    journal.compactIfWorthwhile(liveBytes: table.byteCount) { entries }
  }

  /// The value of an entry.
  func value(of key: EntryKey) -> ByteBuffer? { table.withLock { $0.entries[key] } }

  /// How many entries there are, and the bytes of their keys and values.
  var size: (entries: Int, bytes: Int) { table.withLock { ($0.entries.count, $0.byteCount) } }

  /// The length of the file, if there is one.
  var fileLength: Int? { journal?.fileLength }

  /// Makes a change. With a file, the future succeeds when the change is on the disk.
  func change(_ change: EntryChange, on loop: any EventLoop) -> EventLoopFuture<ChangeOutcome> {
    guard let journal else {
      return loop.makeSucceededFuture(table.withLock { $0.apply(change) }.outcome)
    }
    let promise = loop.makePromise(of: ChangeOutcome.self)
    journal.submit(change, promise) { self.perform($0, journal) }
    return promise.futureResult
  }

  /// Writes changes down in order, all of them with one wait for the disk. Called by one thread at a time.
  private func perform(_ batch: [Journal.Submission], _ journal: Journal) {
    var records = ByteBuffer()
    var undos: [EntryTable.Undo] = []
    var outcomes: [ChangeOutcome] = []
    table.withLock { table in
      for submission in batch {
        let (outcome, undo) = table.apply(submission.change)
        outcomes.append(outcome)
        guard let undo else { continue }
        undos.append(undo)
        JournalRecord.write(submission.change, to: &records)
      }
    }
    if !undos.isEmpty {
      if let failure = journal.append(records, repairingWith: { self.before(undos) }) {
        table.withLock { table in
          for undo in undos.reversed() { table.undo(undo) }
        }
        // What was decided of the others may rest on what has been undone.
        outcomes = outcomes.map { _ in .failed(failure) }
      }
    }
    for (submission, outcome) in zip(batch, outcomes) { submission.promise.succeed(outcome) }
    journal.compactIfWorthwhile(liveBytes: size.bytes) { self.table.withLock { $0.entries } }
  }

  /// The entries as they were before the changes that `undos` undo.
  private func before(_ undos: [EntryTable.Undo]) -> [EntryKey: ByteBuffer] {
    var entries = table.withLock { $0.entries }
    for undo in undos.reversed() { entries[undo.key] = undo.previous }
    return entries
  }

  /// Waits for what is being written and closes the file. Blocks.
  func close() { journal?.close() }
}
