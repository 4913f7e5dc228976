internal import Glibc
internal import Synchronization

/// Threads that look for bytes of a peer without sleeping: at most one for every two processors of the host, since whoever
/// sends them may need one of them.
struct Watchers: ~Copyable {
  /// Those of this process.
  static let process = Watchers(limit: sysconf(Int32(_SC_NPROCESSORS_ONLN)) / 2)

  /// The most bytes of an exchange that is worth looking for. With more, whoever moves them may need the core that would be
  /// spent on looking.
  static let shortExchange = 16 << 10
  /// How long somebody looks before it sleeps, in nanoseconds: longer than a round trip within a data centre and one wake-up
  /// at the other end.
  static let patience: UInt64 = 60_000

  private let number = Atomic<Int>(0)
  private let limit: Int

  init(limit: Int) { self.limit = limit }

  /// Calls `receive`, which must not block, until it has received something, or until ``patience`` after `start`
  /// (nanoseconds, monotonic): being woken costs a core up to 40 us where it has nothing else to do.
  ///
  /// Returns what the call came to, an end (0) or an error (-1, with `errno`) too, which a socket tells once; nil where
  /// nothing has come, or where as many look as may.
  borrowing func look(since start: UInt64, _ receive: () -> Int) -> Int? {
    guard enter() else { return nil }
    defer { leave() }
    while true {
      let bytes = receive()
      guard bytes < 0, errno == EAGAIN else { return bytes }
      guard Clock.now &- start < Self.patience else { return nil }
      // Whoever is to send them, or anybody else, may be waiting for this very core.
      Thread.yield()
    }
  }

  /// Whether there is room for one more, who has to ``leave()``.
  borrowing func enter() -> Bool {
    guard number.add(1, ordering: .relaxed).oldValue >= limit else { return true }
    leave()
    return false
  }

  borrowing func leave() { number.subtract(1, ordering: .relaxed) }
}
