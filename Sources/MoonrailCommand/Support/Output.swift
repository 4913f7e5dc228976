internal import Glibc

/// Whole lines to standard output and standard error, unbuffered, so that they come out in order and are there for
/// whoever waits for them in a pipe.
enum Output {
  /// A line of result.
  static func print(_ line: String) { write(line + "\n", to: STDOUT_FILENO) }

  /// A line about the run: progress, warnings, errors.
  static func error(_ line: String) { write(line + "\n", to: STDERR_FILENO) }

  /// Text without an end of line, on standard error.
  static func errorText(_ text: String) { write(text, to: STDERR_FILENO) }

  /// Whether a person watches standard error.
  static var errorIsTerminal: Bool { isatty(STDERR_FILENO) == 1 }

  private static func write(_ text: String, to file: Int32) {
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
