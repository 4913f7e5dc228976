internal import Logging
internal import Metadata
internal import NIOCore
internal import NIOPosix
internal import Synchronization

/// Writes changes to the file, on a thread of its own: a disk may take seconds, for which no event loop must be kept.
final class Journal: Sendable {
  /// A change and who waits for it.
  struct Submission: Sendable {
    let change: EntryChange
    let promise: EventLoopPromise<ChangeOutcome>
  }

  private struct Queue {
    /// Bounded by the connections: each waits for its change.
    var waiting: [Submission] = []
    var isRunning = false
  }

  /// Bytes that are gathered for one write.
  static let batchBytes = 4 << 20

  private let queue = Mutex(Queue())
  private let file: Mutex<JournalFile>
  private let length: Atomic<Int>
  private let pool = NIOThreadPool(numberOfThreads: 1)
  private let log: LimitedLog

  init(_ file: sending JournalFile, logger: Logger) {
    length = Atomic(file.length)
    self.file = Mutex(file)
    log = LimitedLog(logger)
    pool.start()
  }

  /// The length of the file in bytes.
  var fileLength: Int { length.load(ordering: .relaxed) }

  /// Has `perform` called with this change and those that wait with it, on the journal's thread.
  func submit(
    _ change: EntryChange, _ promise: EventLoopPromise<ChangeOutcome>,
    _ perform: @escaping @Sendable ([Submission]) -> Void
  ) {
    let starts = queue.withLock { queue in
      queue.waiting.append(Submission(change: change, promise: promise))
      defer { queue.isRunning = true }
      return !queue.isRunning
    }
    guard starts else { return }
    pool.submit { state in
      while let batch = self.nextBatch() {
        if case .active = state {
          perform(batch)
        } else {
          for submission in batch { submission.promise.succeed(.failed("the server is shutting down")) }
        }
      }
    }
  }

  private func nextBatch() -> [Submission]? {
    queue.withLock { queue in
      var bytes = 0
      let count = queue.waiting.prefix { submission in
        defer { bytes += submission.change.byteCount }
        return bytes < Self.batchBytes
      }.count
      guard count > 0 else {
        queue.isRunning = false
        return nil
      }
      defer { queue.waiting.removeFirst(count) }
      return Array(queue.waiting.prefix(count))
    }
  }

  /// Appends records; nil when they are on the disk, else why not. After a failure the next call writes the file anew
  /// first, with the entries that it is told of.
  func append(_ records: ByteBuffer, repairingWith entries: () -> [EntryKey: ByteBuffer]) -> String? {
    file.withLock { file in
      defer { length.store(file.length, ordering: .relaxed) }
      do throws(FileFailure) {
        if file.isBroken { try file.rewrite(entries()) }
        try file.append(records)
        return nil
      } catch {
        log.warning("metadata: a change was refused, because it cannot be written down: \(error)")
        return "\(error)"
      }
    }
  }

  /// Writes the file anew when most of it is of no use any more.
  func compactIfWorthwhile(liveBytes: Int, entries: () -> [EntryKey: ByteBuffer]) {
    file.withLock { file in
      guard file.isWorthCompacting(liveBytes: liveBytes) else { return }
      defer { length.store(file.length, ordering: .relaxed) }
      do throws(FileFailure) {
        try file.rewrite(entries())
      } catch {
        log.warning("metadata: the file could not be made smaller: \(error)")
      }
    }
  }

  /// Waits for the thread and closes the file. Blocks.
  func close() {
    try? pool.syncShutdownGracefully()
    file.withLock { $0.close() }
  }
}
