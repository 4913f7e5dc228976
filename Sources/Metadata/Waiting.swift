internal import Dispatch
package import NIOCore
internal import NIOPosix
internal import Synchronization

extension Duration {
  /// For timers. A day stands for every longer time, so that sums with the clock cannot overflow.
  package var timeAmount: TimeAmount { TimeAmount(Swift.min(Swift.max(self, .zero), .seconds(86400))) }
}

/// Blocks until a future has its result, at most for the given time; then `nil`. Throws `onEventLoop` where waiting
/// would keep the event loops from ever delivering it.
package func wait<Value: Sendable>(
  for future: EventLoopFuture<Value>, atMost limit: TimeAmount
) throws(MetadataError) -> Result<Value, any Error>? {
  try checkNotOnEventLoop()
  let box = ResultBox<Value>()
  future.whenComplete { box.set($0) }
  return box.wait(nanoseconds: limit.nanoseconds)
}

/// Throws `onEventLoop` on a thread that belongs to an event loop.
package func checkNotOnEventLoop() throws(MetadataError) {
  guard MultiThreadedEventLoopGroup.currentEventLoop != nil else { return }
  throw MetadataError(
    .onEventLoop, "a blocking handshake call was made on an event loop",
    advice: "call it on a thread of your own, or use the form that returns a future")
}

private final class ResultBox<Value: Sendable>: Sendable {
  private let result = Mutex<Result<Value, any Error>?>(nil)
  private let ready = DispatchSemaphore(value: 0)

  func set(_ value: Result<Value, any Error>) {
    result.withLock { $0 = value }
    ready.signal()
  }

  func wait(nanoseconds: Int64) -> Result<Value, any Error>? {
    _ = ready.wait(timeout: .now() + .nanoseconds(Int(nanoseconds)))
    return result.withLock { $0 }
  }
}
