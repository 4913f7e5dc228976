internal import Glibc
internal import TransferEngine

/// A thread for one call that may block.
enum BlockingThread {
  /// Runs `body` on a new thread, or calls `failure` if there can be none.
  static func run(_ body: @escaping @Sendable () -> Void, failure: (TransferError) -> Void) {
    let box = Unmanaged.passRetained(Box(body))
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    var thread = pthread_t()
    let result = pthread_create(
      &thread, &attributes,
      { argument in
        guard let argument else { return nil }
        Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().body()
        return nil
      }, box.toOpaque())
    guard result == 0 else {
      box.release()
      failure(TransferError(.memory, "A thread could not be started (error \(result)). Check the limits (ulimit -u)."))
      return
    }
  }

  private final class Box: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
}
