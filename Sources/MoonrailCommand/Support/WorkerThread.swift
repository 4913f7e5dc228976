internal import Glibc

/// A POSIX thread to be joined: the engine's calls block, and the cooperative pool must not.
struct WorkerThread {
  private final class Body {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  private let thread: pthread_t

  /// Starts a thread that runs `body`.
  init(_ body: @escaping @Sendable () -> Void) throws(CommandFailure) {
    let box = Unmanaged.passRetained(Body(body))
    var thread = pthread_t()
    let code = pthread_create(&thread, nil, { Self.enter($0) }, box.toOpaque())
    guard code == 0 else {
      box.release()
      throw CommandFailure("error: a thread could not be started: \(String(cString: strerror(code)))")
    }
    self.thread = thread
  }

  private static func enter(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    if let argument { Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run() }
    return nil
  }

  /// Waits until the body has returned.
  func join() { pthread_join(thread, nil) }
}
