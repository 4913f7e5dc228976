internal import Glibc

/// SIGINT and SIGTERM as something to wait for. The second one ends the process there and then.
struct StopSignals {
  /// Readable from the first signal on; -1 where the kernel had none to give.
  private let event: Int32

  /// Blocks the signals in this thread and in those it starts: to be called before any engine is.
  init() {
    var set = sigset_t()
    sigemptyset(&set)
    sigaddset(&set, SIGINT)
    sigaddset(&set, SIGTERM)
    let event = eventfd(0, Int32(EFD_CLOEXEC.rawValue))
    self.event = event
    guard event >= 0, pthread_sigmask(SIG_BLOCK, &set, nil) == 0 else { return }
    let watched = set
    let watcher = try? WorkerThread { Self.watch(watched, event) }
    // Without somebody to take them, signals do what they do by default.
    if watcher == nil { pthread_sigmask(SIG_UNBLOCK, &set, nil) }
  }

  private static func watch(_ set: sigset_t, _ event: Int32) {
    var set = set
    var signal: Int32 = 0
    guard sigwait(&set, &signal) == 0 else { return }
    eventfd_write(event, 1)
    if sigwait(&set, &signal) == 0 { _exit(128 + signal) }
  }

  /// Waits up to `milliseconds`; true when a signal has come.
  func wait(milliseconds: Int) -> Bool {
    var entry = pollfd(fd: event, events: Int16(POLLIN), revents: 0)
    return poll(&entry, 1, Int32(clamping: milliseconds)) > 0
  }
}
