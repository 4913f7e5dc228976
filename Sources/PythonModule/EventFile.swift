internal import Glibc

/// An eventfd of a caller's, held open for as long as something may have to be announced by it.
final class EventFile: Sendable {
  private let descriptor: Int32

  /// Another descriptor of the same file; nil if there is no such file, or the process has too many.
  init?(duplicating descriptor: Int32) {
    self.descriptor = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
    guard self.descriptor >= 0 else { return nil }
  }

  deinit { close(descriptor) }

  /// Makes it readable.
  func signal() {
    var one: UInt64 = 1
    // It can fail only where the count is at its end, and then the file is readable.
    _ = write(descriptor, &one, 8)
  }
}
