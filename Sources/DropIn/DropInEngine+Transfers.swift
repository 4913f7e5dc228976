internal import Glibc
internal import Logging
public import TransferEngine

/// The end of a batch, as upstream's `transfer_check_status` numbers it.
public enum BatchProgress: Int32, Sendable {
  /// All of it is where it belongs, and the batch is freed.
  case completed = 1
  /// Something may still move.
  case pending = 0
  /// A part of it failed, nothing moves any more, and the batch is freed.
  case failed = -1
  /// Its deadline passed, nothing moves any more, and the batch is freed.
  case timedOut = -2
}

extension DropInEngine {
  /// Moves `requests`, whose targets are set to the segment `name`, and returns when all of their bytes are where they
  /// belong. Nothing to do is done.
  ///
  /// - Throws: ``TransferError``. Nothing of the batch moves any more then.
  public func transfer(
    _ requests: UnsafeMutableBufferPointer<TransferRequest>, to name: String,
    notification: NotificationMessage? = nil
  ) throws(TransferError) {
    guard let batch = try start(requests, to: name, notification: notification) else { return }
    switch try conclude(batch, bytes: requests.reduce(0) { $0 &+ max(0, $1.length) }) {
    case .completed: return
    case .timedOut, .pending:
      throw TransferError(
        .socket, "The transfer of \(requests.count) requests to \(name) missed its deadline (MC_TRANSFER_TIMEOUT).")
    case .failed:
      throw TransferError(.socket, "The transfer of \(requests.count) requests to \(name) failed.")
    }
  }

  /// Starts `requests`, whose targets are set to the segment `name`.
  ///
  /// - Returns: The batch, to be asked about by ``check(_:)`` until it has ended; nil if there is nothing to do.
  public func start(
    _ requests: UnsafeMutableBufferPointer<TransferRequest>, to name: String,
    notification: NotificationMessage? = nil
  ) throws(TransferError) -> BatchID? {
    let engine = try engine
    guard !requests.isEmpty else { return nil }
    let segment = try engine.openSegment(name)
    for index in requests.indices { requests[index].target = segment }
    let batch = try engine.allocateBatch(capacity: requests.count)
    do throws(TransferError) {
      try engine.submit(UnsafeBufferPointer(requests), to: batch, notification: notification)
    } catch {
      try? engine.freeBatch(batch)
      throw error
    }
    return batch
  }

  /// How a batch stands; frees it when it has ended. Never waits.
  ///
  /// - Throws: ``TransferError`` for a batch that is not there (any more).
  public func check(_ batch: BatchID) throws(TransferError) -> BatchProgress {
    let engine = try engine
    let status = try engine.status(of: batch)
    guard status.isFinal else { return .pending }
    do throws(TransferError) {
      try engine.freeBatch(batch)
    } catch {
      // A NIC still has a part of it, so it has not ended.
      if error.code == .busy { return .pending }
      throw error
    }
    switch status.state {
    case .completed: return .completed
    case .timedOut: return .timedOut
    case .failed, .waiting: return .failed
    }
  }

  /// Waits until a batch of `bytes` bytes has ended, and frees it.
  ///
  /// A NIC that does not give a request back even in twice the time that it had stops the engine: closing its endpoint is
  /// all that keeps it from the memory, which the caller takes for its own again when this returns.
  ///
  /// - Returns: How it ended; never `pending`.
  public func conclude(_ batch: BatchID, bytes: Int) throws(TransferError) -> BatchProgress {
    let engine = try engine
    // The engine settles every request by its own deadline; the grace is for this thread to hear of it.
    let allowance = timeout &+ UInt64(clamping: bytes) &+ 5_000_000_000
    _ = try engine.wait(for: batch, timeout: .nanoseconds(Int64(clamping: allowance)))
    let limit = Self.now &+ allowance
    while true {
      let progress = try check(batch)
      if progress != .pending { return progress }
      guard Self.now < limit else {
        logger.critical(
          """
          a NIC does not give back a batch that timed out. The engine is stopped, so that the memory is not used any \
          more; create a new one
          """)
        engine.shutdown()
        return .timedOut
      }
      usleep(1000)
    }
  }

  private static var now: UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(truncatingIfNeeded: time.tv_sec) &* 1_000_000_000 &+ UInt64(truncatingIfNeeded: time.tv_nsec)
  }
}
