internal import EngineLog
internal import Glibc

/// Whole lines to standard output and standard error, unbuffered, so that they come out in order and are there for
/// whoever waits for them in a pipe.
enum Output {
  /// A line of result.
  static func print(_ line: String) { WholeText.write(line + "\n", to: STDOUT_FILENO) }

  /// A line about the run: progress, warnings, errors.
  static func error(_ line: String) { WholeText.write(line + "\n", to: STDERR_FILENO) }

  /// Text without an end of line, on standard error.
  static func errorText(_ text: String) { WholeText.write(text, to: STDERR_FILENO) }

  /// Whether a person watches standard error.
  static var errorIsTerminal: Bool { isatty(STDERR_FILENO) == 1 }
}
