internal import Glibc

/// The built `moonrail`, run as a user runs it.
struct Tool {
  /// How a run ended and what it said.
  struct Outcome {
    var status: Int32
    var output: String
    var error: String
  }

  /// The file, beside the test bundle; nil if it was not built.
  static let path: String? = {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
    let length = readlink("/proc/self/exe", &buffer, buffer.count)
    guard length > 0 else { return nil }
    let own = String(decoding: buffer.prefix(length).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    guard let slash = own.lastIndex(of: "/") else { return nil }
    let path = own[...slash] + "moonrail"
    return access(String(path), X_OK) == 0 ? String(path) : nil
  }()

  /// Runs `moonrail` with `arguments` and, on top of this process's environment, `environment`.
  ///
  /// A run that takes longer than `seconds` is killed; its status is then -1.
  static func run(_ arguments: [String], environment: [String: String] = [:], seconds: Int = 60) -> Outcome {
    var directory = Array("/tmp/moonrail-test-XXXXXX".utf8CString)
    guard let path, mkdtemp(&directory) != nil else { return Outcome(status: -1, output: "", error: "not built") }
    let folder = String(decoding: directory.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer {
      for name in ["out", "err"] { unlink("\(folder)/\(name)") }
      rmdir(folder)
    }
    // `env` sets variables and removes those whose value is empty.
    let settings = environment.filter { !$0.value.isEmpty }.map { "\($0.key)=\($0.value)" }
    let removals = environment.filter(\.value.isEmpty).flatMap { ["-u", $0.key] }
    var argv: [UnsafeMutablePointer<CChar>?] = (["env"] + removals + settings + [path] + arguments).map { strdup($0) }
    argv.append(nil)
    defer { for argument in argv { free(argument) } }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "\(folder)/out", O_WRONLY | O_CREAT, 0o600)
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "\(folder)/err", O_WRONLY | O_CREAT, 0o600)
    var child = pid_t()
    guard posix_spawnp(&child, "env", &actions, nil, argv, environ) == 0 else {
      return Outcome(status: -1, output: "", error: "not started")
    }
    var status: Int32 = 0
    var remaining = seconds * 100
    while waitpid(child, &status, WNOHANG) == 0 {
      remaining -= 1
      if remaining == 0 {
        kill(child, SIGKILL)
        waitpid(child, &status, 0)
        return Outcome(status: -1, output: text("\(folder)/out"), error: text("\(folder)/err") + "\nkilled")
      }
      usleep(10_000)
    }
    let code = status & 0x7f == 0 ? (status >> 8) & 0xff : 128 + status & 0x7f
    return Outcome(status: code, output: text("\(folder)/out"), error: text("\(folder)/err"))
  }

  private static func text(_ path: String) -> String {
    let file = open(path, O_RDONLY)
    guard file >= 0 else { return "" }
    defer { close(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65536)
    while case let count = read(file, &chunk, chunk.count), count > 0 { bytes.append(contentsOf: chunk.prefix(count)) }
    return String(decoding: bytes, as: UTF8.self)
  }
}
