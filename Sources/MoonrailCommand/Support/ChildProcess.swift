internal import Glibc

/// A child process whose standard error is read here, line by line, and which ends when its standard input does.
final class ChildProcess {
  private let processID: pid_t
  /// The process, as `ps` names it.
  var processNumber: Int { Int(processID) }
  private let input: Int32
  private let output: Int32
  private var pending: [UInt8] = []
  private var exitStatus: Int32?

  /// Starts the program at `path`. Its standard output is this process's.
  init(_ path: String, _ arguments: [String]) throws(CommandFailure) {
    var inputPipe: [Int32] = [-1, -1]
    var outputPipe: [Int32] = [-1, -1]
    guard pipe(&inputPipe) == 0, pipe(&outputPipe) == 0 else {
      throw CommandFailure("error: no pipe: \(String(cString: strerror(errno)))")
    }
    // The child gets two of the ends, as its standard input and error, and none under its own number.
    for file in inputPipe + outputPipe { _ = fcntl(file, F_SETFD, FD_CLOEXEC) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, inputPipe[0], STDIN_FILENO)
    posix_spawn_file_actions_adddup2(&actions, outputPipe[1], STDERR_FILENO)
    // The child starts with no signal blocked, whatever this process blocks.
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))

    var argv: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) }
    argv.append(nil)
    defer { for argument in argv { free(argument) } }
    var child = pid_t()
    let code = posix_spawn(&child, path, &actions, &attributes, argv, environ)
    close(inputPipe[0])
    close(outputPipe[1])
    guard code == 0 else {
      close(inputPipe[1])
      close(outputPipe[0])
      throw CommandFailure("error: \(path) could not be started: \(String(cString: strerror(code)))")
    }
    processID = child
    input = inputPipe[1]
    output = outputPipe[0]
  }

  deinit {
    close(input)
    close(output)
    if exitStatus == nil {
      kill(processID, SIGKILL)
      var status: Int32 = 0
      waitpid(processID, &status, 0)
    }
  }

  /// The next line of the child's standard error; nil at its end or at `deadline` (``monotonicNanoseconds()``).
  func nextLine(deadline: UInt64) -> String? {
    while true {
      if let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
        let line = String(decoding: pending[..<end], as: UTF8.self)
        pending.removeSubrange(...end)
        return line
      }
      let now = monotonicNanoseconds()
      guard now < deadline else { return nil }
      var entry = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
      guard poll(&entry, 1, Int32(clamping: (deadline - now) / 1_000_000 + 1)) > 0 else { continue }
      var chunk = [UInt8](repeating: 0, count: 4096)
      let count = read(output, &chunk, chunk.count)
      guard count > 0 else { return nil }
      pending.append(contentsOf: chunk.prefix(count))
    }
  }

  /// Asks the child to end, kills it at `deadline`, and tells how it ended: nil when it had to be killed.
  func stop(deadline: UInt64) -> Int32? {
    kill(processID, SIGTERM)
    while monotonicNanoseconds() < deadline {
      var status: Int32 = 0
      if waitpid(processID, &status, WNOHANG) == processID {
        exitStatus = status
        return status
      }
      _ = nextLine(deadline: monotonicNanoseconds() + 20_000_000)
      usleep(1000)
    }
    return nil
  }
}
