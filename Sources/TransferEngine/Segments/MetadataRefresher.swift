internal import Dispatch
internal import Glibc
internal import Logging

/// Looks at the descriptors of all open segments again and again (`MC_TE_METADATA_REFRESH_INTERVAL_SECONDS`).
final class MetadataRefresher: Sendable {
  private let stopped = DispatchSemaphore(value: 0)

  func start(_ segments: SegmentTable, seconds: Int, logger: Logger) throws(TransferError) {
    let stopped = stopped
    // Nobody waits for its end: a peer that does not answer may hold it up for a minute, and it touches nothing that
    // shutting down takes away.
    _ = try Thread(name: "mr-refresh") {
      pthread_detach(pthread_self())
      while stopped.wait(timeout: .now() + .seconds(seconds)) == .timedOut { segments.refreshAll(logger) }
    }
  }

  func stop() { stopped.signal() }
}
