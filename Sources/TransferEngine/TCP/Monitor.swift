internal import Glibc

/// A lock whose holder can sleep until something is announced: for queues between threads that block anyway.
final class Monitor: @unchecked Sendable {
  fileprivate let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

  init() {
    mutex.initialize(to: pthread_mutex_t())
    pthread_mutex_init(mutex, nil)
  }

  deinit {
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
  }

  func lock() { pthread_mutex_lock(mutex) }
  func unlock() { pthread_mutex_unlock(mutex) }
}

/// Something that the holder of a ``Monitor`` waits for or announces.
final class Condition: @unchecked Sendable {
  private let monitor: Monitor
  private let variable = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  init(_ monitor: Monitor) {
    self.monitor = monitor
    variable.initialize(to: pthread_cond_t())
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    // Deadlines are of the monotonic clock, like all of the engine's.
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(variable, &attributes)
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(variable)
    variable.deallocate()
  }

  /// Gives the monitor up until woken or until `deadline` (nanoseconds, monotonic), and takes it again. Returns false
  /// when the deadline has passed; may return early.
  func wait(until deadline: UInt64) -> Bool {
    let seconds = min(deadline / 1_000_000_000, UInt64(Int32.max))
    var limit = timespec(tv_sec: Int(seconds), tv_nsec: Int(deadline % 1_000_000_000))
    return pthread_cond_timedwait(variable, monitor.mutex, &limit) != ETIMEDOUT
  }

  /// Wakes one.
  func signal() { pthread_cond_signal(variable) }
  /// Wakes all.
  func broadcast() { pthread_cond_broadcast(variable) }
}
