internal import CLinux
internal import Glibc
internal import Synchronization

/// A plain thread. The engine uses no Swift concurrency: it does not survive `fork`.
struct Thread: ~Copyable, @unchecked Sendable {
  private let handle: pthread_t

  /// Starts `body` on a new thread whose name, as `top -H` shows it, is at most 15 bytes.
  ///
  /// - Parameter stackSize: Bytes of its stack; nil for the system's choice.
  init(name: String, stackSize: Int? = nil, _ body: @escaping @Sendable () -> Void) throws(TransferError) {
    let start = Unmanaged.passRetained(Start(name: name, body: body))
    var handle = pthread_t()
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    defer { pthread_attr_destroy(&attributes) }
    if let stackSize { pthread_attr_setstacksize(&attributes, stackSize) }
    let result = pthread_create(
      &handle, &attributes,
      { argument in
        guard let argument else { return nil }
        let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
        _ = clinux_set_thread_name(start.name)
        start.body()
        return nil
      }, start.toOpaque())
    guard result == 0 else {
      start.release()
      throw TransferError(
        .memory, "A thread could not be started (error \(result)). Check the process's limits (ulimit -u).")
    }
    self.handle = handle
  }

  /// Waits for the thread to end.
  consuming func join() { _ = pthread_join(handle, nil) }

  /// Lets the thread end by itself.
  consuming func detach() { _ = pthread_detach(handle) }

  /// Lets another thread have the core.
  static func yield() { _ = sched_yield() }

  /// Sleeps.
  static func pause(microseconds: UInt32) { _ = usleep(microseconds) }

  private final class Start: Sendable {
    let name: String
    let body: @Sendable () -> Void
    init(name: String, body: @escaping @Sendable () -> Void) {
      self.name = name
      self.body = body
    }
  }
}

/// A thread to be waited for later, once, from wherever the list of such threads is.
final class JoinableThread: Sendable {
  private let thread: Mutex<Thread?>

  init(_ thread: consuming Thread) { self.thread = Mutex(consume thread) }

  func join() {
    let thread = thread.withLock { $0.take() }
    thread?.join()
  }
}
