internal import Glibc
internal import Synchronization

/// Callers that look for an answer without sleeping: at most one for every two processors of the host, since whoever answers
/// may need one of them.
struct Watchers: ~Copyable {
  /// Those of this process.
  static let process = Watchers(limit: sysconf(Int32(_SC_NPROCESSORS_ONLN)) / 2)

  private let number = Atomic<Int>(0)
  private let limit: Int

  init(limit: Int) { self.limit = limit }

  /// Whether there is room for one more, who has to ``leave()``.
  borrowing func enter() -> Bool {
    guard number.add(1, ordering: .relaxed).oldValue >= limit else { return true }
    leave()
    return false
  }

  borrowing func leave() { number.subtract(1, ordering: .relaxed) }
}
