internal import Glibc

/// SIGINT and SIGTERM as something to wait for. The second one ends the process there and then.
struct StopSignals {
  /// The end of a pipe that can be read from the first signal on; -1 where there was no pipe to be had.
  private let event: Int32

  /// Blocks the signals in this thread and in those it starts: to be called before any engine is.
  init() {
    var set = sigset_t()
    sigemptyset(&set)
    sigaddset(&set, SIGINT)
    sigaddset(&set, SIGTERM)
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else {
      event = -1
      return
    }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    event = ends[0]
    pthread_sigmask(SIG_BLOCK, &set, nil)
    let (watched, end) = (set, ends[1])
    let watcher = try? WorkerThread { Self.watch(watched, end) }
    // Without somebody to take them, signals do what they do by default.
    if watcher == nil { pthread_sigmask(SIG_UNBLOCK, &set, nil) }
  }

  private static func watch(_ set: sigset_t, _ end: Int32) {
    var set = set
    var signal: Int32 = 0
    guard sigwait(&set, &signal) == 0 else { return }
    // Nobody reads it: waiting ends at once from now on.
    var byte: UInt8 = 1
    write(end, &byte, 1)
    if sigwait(&set, &signal) == 0 { _exit(128 + signal) }
  }

  /// Waits up to `milliseconds`; true when a signal has come.
  func wait(milliseconds: Int) -> Bool {
    var entry = pollfd(fd: event, events: Int16(POLLIN), revents: 0)
    return poll(&entry, 1, Int32(clamping: milliseconds)) > 0
  }
}
