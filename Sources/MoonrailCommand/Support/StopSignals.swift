internal import Glibc

/// SIGINT and SIGTERM as something to wait for.
struct StopSignals {
  private var set = sigset_t()

  /// Blocks the signals in this thread and in those it starts: to be called before any engine is.
  init() {
    sigemptyset(&set)
    sigaddset(&set, SIGINT)
    sigaddset(&set, SIGTERM)
    pthread_sigmask(SIG_BLOCK, &set, nil)
  }

  /// Waits up to `milliseconds`; true when a signal has come.
  func wait(milliseconds: Int) -> Bool {
    var set = set
    var timeout = timespec(tv_sec: milliseconds / 1000, tv_nsec: (milliseconds % 1000) * 1_000_000)
    return sigtimedwait(&set, nil, &timeout) > 0
  }
}
