internal import Glibc

/// Text to a file descriptor, in one call of the system unless that takes less, so that lines of several threads and
/// processes do not mix.
public enum WholeText {
  /// Writes all of `text`, and gives up where the other end is gone.
  public static func write(_ text: String, to file: Int32) {
    var text = text
    text.withUTF8 { bytes in
      var rest = UnsafeRawBufferPointer(bytes)
      while let start = rest.baseAddress, rest.count > 0 {
        let written = Glibc.write(file, start, rest.count)
        if written < 0 && errno == EINTR { continue }
        guard written > 0 else { return }
        rest = UnsafeRawBufferPointer(rebasing: rest[written...])
      }
    }
  }
}
