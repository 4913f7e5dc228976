internal import Glibc
public import Logging

/// Log lines on standard error, `W 02:26:11.123 moonrail] message`, each in one call of the system, so that those of
/// several threads and processes do not mix.
public struct StandardErrorLog: LogHandler {
  /// Lines below it are left out.
  public var logLevel: Logger.Level
  /// Said with every line.
  public var metadata: Logger.Metadata = [:]
  let label: String
  /// Messages that begin so are left out.
  let omitted: String?

  init(logLevel: Logger.Level, label: String, omitted: String? = nil) {
    self.logLevel = logLevel
    self.label = label
    self.omitted = omitted
  }

  /// Makes this the handler of all loggers, at the level that `MC_LOG_LEVEL` names. To be called once in a process, and
  /// not by a library.
  public static func bootstrap() {
    let level = currentLevel
    LoggingSystem.bootstrap { StandardErrorLog(logLevel: level, label: $0) }
  }

  /// A logger at `level`, or else at what `MC_LOG_LEVEL` names, whose messages that begin with `prefix` are left out.
  public static func logger(_ label: String, level: Logger.Level? = nil, omitting prefix: String? = nil) -> Logger {
    Logger(label: label) { StandardErrorLog(logLevel: level ?? currentLevel, label: $0, omitted: prefix) }
  }

  /// A logger that tells of what is wrong only, unless `MC_LOG_LEVEL` says otherwise.
  public static func quietLogger(_ label: String) -> Logger {
    logger(label, level: getenv("MC_LOG_LEVEL") == nil ? .warning : nil)
  }

  private static var currentLevel: Logger.Level { level(named: getenv("MC_LOG_LEVEL").map { String(cString: $0) }) }

  /// Upstream's names, `INFO` for all else.
  public static func level(named name: String?) -> Logger.Level {
    switch name?.uppercased() {
    case "TRACE": return .trace
    case "DEBUG": return .debug
    case "WARNING": return .warning
    case "ERROR": return .error
    default: return .info
    }
  }

  /// One entry of ``metadata``.
  public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
    get { metadata[key] }
    set { metadata[key] = newValue }
  }

  /// Writes a line.
  public func log(event: LogEvent) {
    if let omitted, event.message.description.hasPrefix(omitted) { return }
    let all = metadata.merging(event.metadata ?? [:]) { $1 }
    let details = all.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
    let error = event.error.map { " error=\($0)" } ?? ""
    WholeText.write(
      "\(Self.letter(event.level)) \(Self.timeOfDay()) \(label)] \(event.message)\(details)\(error)\n",
      to: STDERR_FILENO)
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
