internal import Glibc

/// The end of an engine, which one thread brings about and others wait for.
final class Ending: @unchecked Sendable {
  private let monitor = Monitor()
  private let over: Condition
  // Both belong to the holder of the monitor.
  private var thread: pthread_t?
  private var isOver = false

  init() { over = Condition(monitor) }

  /// This thread ends the engine.
  func begin() {
    monitor.lock()
    defer { monitor.unlock() }
    thread = pthread_self()
  }

  /// It is done.
  func finish() {
    monitor.lock()
    defer { monitor.unlock() }
    thread = nil
    isOver = true
    over.broadcast()
  }

  /// Waits until whoever ends the engine is done, or for `nanoseconds`. Not where that is this thread, which runs
  /// something of the caller's on its way.
  func wait(nanoseconds: UInt64) {
    let deadline = Clock.now &+ nanoseconds
    monitor.lock()
    defer { monitor.unlock() }
    if let thread, pthread_equal(thread, pthread_self()) != 0 { return }
    while !isOver, Clock.now < deadline { _ = over.wait(until: deadline) }
  }
}
