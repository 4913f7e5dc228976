internal import Glibc
internal import Synchronization

/// A few threads for a slow thing that can be done in parts.
enum Parallel {
  /// Calls `body` with 0 ..< `count`, at most one thread per processor at a time. The calling thread does its share, so
  /// that it works, if slowly, where no thread can be started.
  static func forEach(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
    let next = Box()
    let work: @Sendable () -> Void = {
      while true {
        let index = next.value.add(1, ordering: .relaxed).oldValue
        guard index < count else { return }
        body(index)
      }
    }
    let processors = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    var helpers: [JoinableThread] = []
    for _ in 1..<max(1, min(count, processors)) {
      guard let thread = try? Thread(name: "moonrail-helper", work) else { break }
      helpers.append(JoinableThread(thread))
    }
    work()
    for helper in helpers { helper.join() }
  }

  private final class Box: Sendable { let value = Atomic<Int>(0) }
}
