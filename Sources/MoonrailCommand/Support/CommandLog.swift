internal import Glibc
internal import Logging
internal import TransferEngine

/// Log lines on standard error, `W 02:26:11.123 moonrail] message`.
struct CommandLog: LogHandler {
  var logLevel: Logger.Level
  var metadata: Logger.Metadata = [:]
  let label: String
  /// Messages that begin so are left out.
  var omitted: String?

  /// Makes this the handler of all loggers, at the level that `MC_LOG_LEVEL` names.
  static func bootstrap() {
    let level = currentLevel()
    LoggingSystem.bootstrap { CommandLog(logLevel: level, label: $0) }
  }

  /// A logger whose messages that begin with `prefix` are left out.
  static func logger(_ label: String, omitting prefix: String) -> Logger {
    Logger(label: label) { CommandLog(logLevel: currentLevel(), label: $0, omitted: prefix) }
  }

  /// A logger that tells of what is wrong only, unless `MC_LOG_LEVEL` says otherwise.
  static func quietLogger(_ label: String) -> Logger {
    let name = ProcessEnvironment.current["MC_LOG_LEVEL"]
    return Logger(label: label) { CommandLog(logLevel: name == nil ? .warning : level(named: name), label: $0) }
  }

  private static func currentLevel() -> Logger.Level { level(named: ProcessEnvironment.current["MC_LOG_LEVEL"]) }

  /// Upstream's names, `INFO` for all else.
  static func level(named name: String?) -> Logger.Level {
    switch name?.uppercased() {
    case "TRACE": return .trace
    case "DEBUG": return .debug
    case "WARNING": return .warning
    case "ERROR": return .error
    default: return .info
    }
  }

  subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  func log(event: LogEvent) {
    if let omitted, event.message.description.hasPrefix(omitted) { return }
    let all = metadata.merging(event.metadata ?? [:]) { $1 }
    let details = all.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
    let error = event.error.map { " error=\($0)" } ?? ""
    Output.error("\(Self.letter(event.level)) \(Self.timeOfDay()) \(label)] \(event.message)\(details)\(error)")
  }

  static func letter(_ level: Logger.Level) -> Character {
    switch level {
    case .trace: return "T"
    case .debug: return "D"
    case .info, .notice: return "I"
    case .warning: return "W"
    case .error, .critical: return "E"
    }
  }

  private static func timeOfDay() -> String {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    var parts = tm()
    localtime_r(&now.tv_sec, &parts)
    func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
    let milliseconds = String(now.tv_nsec / 1_000_000 + 1000).dropFirst()
    return "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec)).\(milliseconds)"
  }
}
