internal import Foundation
internal import Synchronization

/// Runs `body` with 0 ..< `count`, each on a thread of its own that may block, and waits for all.
///
/// - Throws: The first error that a thread threw.
public func onThreads(_ count: Int, _ body: @escaping @Sendable (Int) throws -> Void) throws {
  let outcome = Outcome()
  let group = DispatchGroup()
  for index in 0..<count {
    group.enter()
    let thread = Thread {
      do {
        try body(index)
      } catch {
        outcome.first.withLock { $0 = $0 ?? error }
      }
      group.leave()
    }
    thread.start()
  }
  group.wait()
  if let error = outcome.first.withLock({ $0 }) { throw error }
}

private final class Outcome: Sendable {
  let first = Mutex<(any Error)?>(nil)
}
