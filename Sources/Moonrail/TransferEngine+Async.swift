public import TransferEngine

extension TransferEngine {
  /// Moves `requests` as one batch and suspends until all of them are done.
  ///
  /// - Throws: ``TransferEngine/TransferError`` if nothing could be started. Cancelling the task does not stop bytes on
  ///   their way; the engine's own deadline ends them.
  /// - Returns: The status of the whole, which is final.
  public func transfer(_ requests: [TransferRequest]) async throws -> TransferStatus {
    guard !requests.isEmpty else { return TransferStatus(.completed, transferredBytes: 0) }
    let batch = try allocateBatch(capacity: requests.count)
    do {
      if try !submitIfConnected(requests, to: batch) {
        try await blocking { () throws(TransferError) in try self.submit(requests, to: batch) }
      }
    } catch {
      try? freeBatch(batch)
      throw error
    }
    let status = try await completion(of: batch)
    // A part that timed out may still be with the NIC; the engine keeps such a batch until it is shut down.
    try? freeBatch(batch)
    return status
  }

  /// Suspends until the batch is done.
  ///
  /// - Returns: Its status, which is final.
  public func completion(of batch: BatchID) async throws -> TransferStatus {
    while true {
      let status = try status(of: batch)
      if status.isFinal { return status }
      try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
        do {
          try whenDone(batch) { continuation.resume() }
        } catch {
          continuation.resume(throwing: error)
        }
      }
    }
  }

  /// Opens the segment of the engine named `name`, suspending while its owner is asked.
  public func openSegment(named name: String) async throws -> SegmentID {
    try await blocking { () throws(TransferError) in try self.openSegment(name) }
  }

  /// Connects to the segment named `name`, suspending while its owner is asked.
  @discardableResult
  public func warmup(segmentNamed name: String) async throws -> WarmupReport {
    try await blocking { () throws(TransferError) in try self.warmup(segment: name) }
  }

  /// Registers buffers, suspending while the NICs take them.
  public func registerMemory(
    _ buffers: [BufferEntry], location: String = "*", remoteAccess: RemoteAccess = .readWrite
  ) async throws {
    try await blocking { () throws(TransferError) in
      try self.register(buffers, location: location, remoteAccess: remoteAccess)
    }
  }

  /// Withdraws the buffer at `address`, suspending while transfers use it.
  public func unregisterMemory(at address: UInt) async throws {
    try await blocking { () throws(TransferError) in
      guard let pointer = UnsafeMutableRawPointer(bitPattern: address) else {
        throw TransferError(.addressNotRegistered, "No buffer is registered at address 0.")
      }
      try self.unregister(pointer)
    }
  }

  /// Sends a notification to the engine named `name`, suspending until it is received.
  public func sendNotification(to name: String, _ message: NotificationMessage) async throws {
    try await blocking { () throws(TransferError) in try self.notify(name, message) }
  }
}

/// Runs `body` on a thread that may block, which the threads of Swift concurrency must not.
private func blocking<R: Sendable>(
  _ body: @escaping @Sendable () throws(TransferError) -> R
) async throws -> R {
  try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<R, any Error>) in
    BlockingThread.run {
      do {
        continuation.resume(returning: try body())
      } catch {
        continuation.resume(throwing: error)
      }
    } failure: {
      continuation.resume(throwing: $0)
    }
  }
}
