internal import Glibc
internal import Synchronization
internal import TransferEngine

/// Stops engines when the process is asked to end.
///
/// The signal handler only writes to a pipe; a thread does the rest. In a forked child, which has no such thread, a
/// signal does what it does by default.
enum GracefulShutdown {
  /// 0: no; 1: somebody is at it; 2: the handlers are there.
  private static let progress = Atomic<Int>(0)
  /// The process that has the thread.
  private static let process = Atomic<Int32>(0)
  /// The end of the pipe that the handler writes to.
  private static let pipeEnd = Atomic<Int32>(-1)
  private static let hasCome = Atomic<Bool>(false)

  /// Takes the signals over, if that has not happened in this process.
  static func enable() throws(TransferError) {
    if process.load(ordering: .acquiring) == getpid() { return }
    let before = progress.load(ordering: .acquiring)
    guard before != 1, progress.compareExchange(expected: before, desired: 1, ordering: .acquiring).exchanged else {
      // Another thread is at it, or a child was forked from one that was: nothing depends on who is first.
      return
    }
    var ends: [Int32] = [-1, -1]
    guard pipe(&ends) == 0 else {
      progress.store(before, ordering: .releasing)
      throw TransferError(.memory, "A pipe could not be made: \(String(cString: strerror(errno))).")
    }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    let reader = ends[0]
    var thread = pthread_t()
    // All of it is initialised now, and not when the signal comes.
    pipeEnd.store(ends[1], ordering: .releasing)
    hasCome.store(false, ordering: .releasing)
    let failure = pthread_create(
      &thread, nil,
      { argument in
        GracefulShutdown.watch(Int32(truncatingIfNeeded: Int(bitPattern: argument)))
        return nil
      }, UnsafeMutableRawPointer(bitPattern: Int(reader)))
    guard failure == 0 else {
      for end in ends { close(end) }
      progress.store(before, ordering: .releasing)
      throw TransferError(.memory, "A thread could not be started: \(String(cString: strerror(failure))).")
    }
    pthread_detach(thread)
    process.store(getpid(), ordering: .releasing)
    if before == 0 { atexit { GracefulShutdown.stopEngines() } }
    var action = sigaction()
    action.__sigaction_handler.sa_handler = { GracefulShutdown.handle($0) }
    action.sa_flags = Int32(SA_RESTART)
    for signal in [SIGTERM, SIGINT] { sigaction(signal, &action, nil) }
    progress.store(2, ordering: .releasing)
  }

  /// Runs in the signal handler: only atomics and calls that are allowed there.
  private static func handle(_ signal: Int32) {
    guard process.load(ordering: .relaxed) == getpid() else {
      _ = Glibc.signal(signal, SIG_DFL)
      raise(signal)
      return
    }
    let code = errno
    if hasCome.exchange(true, ordering: .relaxed) { _exit(128 &+ signal) }
    var byte = UInt8(truncatingIfNeeded: signal)
    write(pipeEnd.load(ordering: .relaxed), &byte, 1)
    errno = code
  }

  private static func watch(_ reader: Int32) {
    var signal: UInt8 = 0
    while true {
      let count = read(reader, &signal, 1)
      if count < 0, errno == EINTR { continue }
      guard count == 1 else { return }
      break
    }
    stopEngines()
    _exit(128 &+ Int32(signal))
  }

  /// Stops the engines that want it. Their handles stay: others may be using them.
  private static func stopEngines() {
    guard process.load(ordering: .acquiring) == getpid() else { return }
    for handle in HandleTable.shared.handles {
      _ = HandleTable.shared.with(handle) { cell in
        if cell.stopsOnSignals.load(ordering: .acquiring) { cell.shutdown() }
      }
    }
  }
}
