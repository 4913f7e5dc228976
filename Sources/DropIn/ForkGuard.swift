internal import Glibc
internal import Synchronization

/// Tells the processes of a fork apart, without a system call.
///
/// An engine's threads and its NICs' queues stay with the process that made it: in a child there is nobody to move a
/// transfer on, so that every wait would be for ever.
struct ForkGuard: Sendable {
  private let life: UInt64

  /// Marks the process that this is called in.
  init() {
    _ = Self.registration
    life = Self.lives.load(ordering: .relaxed)
  }

  /// Whether this is the process that made it.
  var isSameProcess: Bool { life == Self.lives.load(ordering: .relaxed) }

  private static let lives = Atomic<UInt64>(0)
  private static let registration: Int32 = pthread_atfork(nil, nil) { ForkGuard.lives.add(1, ordering: .relaxed) }
}
