internal import Logging
internal import Metadata
internal import Synchronization
internal import Wire

/// What this engine has in a metadata store: where it is, and what it serves.
final class Publication: Sendable {
  private struct Outcome {
    /// Calls of ``publish()`` that are settled, and how the last of them ended.
    var settled: UInt64 = 0
    var error: TransferError?
  }

  private let directory: SegmentDirectory
  private let name: String
  private let location: PeerLocation
  /// nil where no transport is installed: there is nothing to serve then.
  private let publisher: DescriptorPublisher?
  private let logger: Logger
  private let asked = Atomic<UInt64>(0)
  private let outcome = Mutex(Outcome())
  private let isPublished = Atomic<Bool>(false)

  init(
    _ directory: SegmentDirectory, name: String, location: PeerLocation,
    publisher: DescriptorPublisher?, logger: Logger
  ) {
    self.directory = directory
    self.name = name
    self.location = location
    self.publisher = publisher
    self.logger = logger
  }

  /// Tells where the engine is, then what it serves. What the store has under the name from before is of another life,
  /// and is replaced unread.
  ///
  /// - Parameter client: Takes names for locations.
  func start(_ client: HandshakeClient) throws(TransferError) {
    do {
      try directory.publishLocation(of: name, location, client: client)
    } catch {
      throw TransferError(error)
    }
    isPublished.store(true, ordering: .relaxed)
    try publish()
  }

  /// Tells what the engine serves now. Calls of several threads share what is written: after a call's return, the
  /// store knows what was registered before it.
  func publish() throws(TransferError) {
    guard let publisher else { return }
    let call = asked.add(1, ordering: .acquiringAndReleasing).newValue
    try outcome.withLock { outcome throws(TransferError) in
      if outcome.settled < call {
        // Of those that wait for the lock, the descriptor has everything too. They share the outcome, so that a store
        // that hangs is waited for twice at most.
        outcome.settled = asked.load(ordering: .acquiring)
        outcome.error = nil
        do throws(MetadataError) {
          try directory.publish(publisher.encoded(for: .store), of: name)
        } catch {
          outcome.error = TransferError(error)
        }
      }
      if let error = outcome.error { throw error }
    }
  }

  /// Takes everything back.
  func withdraw() {
    defer { directory.close() }
    guard isPublished.exchange(false, ordering: .relaxed) else { return }
    do {
      try directory.withdraw(name, location)
    } catch {
      logger.warning("the entries of '\(name)' stay in \(directory.address): \(error)")
    }
  }
}
