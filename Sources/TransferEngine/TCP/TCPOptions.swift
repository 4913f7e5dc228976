/// The `MC_TCP_*` settings, with upstream's defaults and ranges: what is not a decimal number in its range is ignored
/// with a warning.
struct TCPOptions: Sendable {
  /// Connections to one peer (`MC_TCP_LANES_PER_PEER`, formerly `MC_TCP_MAX_CONNECTIONS_PER_PEER`).
  var lanes = 4
  /// Operations that wait for a connection to one peer before a caller has to wait
  /// (`MC_TCP_MAX_QUEUED_TRANSFERS_PER_PEER` and `MC_TCP_MAX_PENDING_ADMISSIONS_PER_PEER` together: upstream has two
  /// queues, and fails what fits into neither).
  var queueLimit = 2048
  /// How long the answer to a request may take, in nanoseconds (`MC_TCP_STATUS_TIMEOUT_SEC`).
  var statusTimeout: UInt64 = 30_000_000_000
  /// How long a connection may stand still in the middle of something, in nanoseconds
  /// (`MC_TCP_PROGRESS_TIMEOUT_SEC`).
  var progressTimeout: UInt64 = 30_000_000_000
  /// How long connecting may take, in nanoseconds.
  var connectTimeout: UInt64 = 5_000_000_000
  /// Whether connections are kept for the next transfer (`MC_TCP_ENABLE_CONNECTION_POOL`).
  var keepsConnections = true
  /// Whether peers are spoken to without acknowledgements, whatever they offer (`MC_TCP_PROTO=1`).
  var usesVersion1 = false

  /// What was wrong in the environment.
  private(set) var warnings: [String] = []

  init(_ environment: [String: String]) {
    var warnings: [String] = []
    func integer(_ name: String, _ range: ClosedRange<Int>) -> Int? {
      guard let text = environment[name] else { return nil }
      // Int's own parser takes a sign, which upstream's does not.
      if text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let value = Int(text), range.contains(value) {
        return value
      }
      warnings.append(
        "\(name)='\(text)' is not a number from \(range.lowerBound) to \(range.upperBound); its default is used")
      return nil
    }
    let laneRange = 1...16
    if environment["MC_TCP_LANES_PER_PEER"] != nil {
      lanes = integer("MC_TCP_LANES_PER_PEER", laneRange) ?? lanes
    } else if let count = integer("MC_TCP_MAX_CONNECTIONS_PER_PEER", laneRange) {
      lanes = count
      warnings.append("MC_TCP_MAX_CONNECTIONS_PER_PEER is called MC_TCP_LANES_PER_PEER now")
    }
    let queued = integer("MC_TCP_MAX_QUEUED_TRANSFERS_PER_PEER", 1...65_535) ?? 1024
    let pending = integer("MC_TCP_MAX_PENDING_ADMISSIONS_PER_PEER", 1...65_535) ?? 1024
    queueLimit = queued + pending
    let seconds = 1...Int(Int32.max)
    if let value = integer("MC_TCP_STATUS_TIMEOUT_SEC", seconds) { statusTimeout = UInt64(value) * 1_000_000_000 }
    if let value = integer("MC_TCP_PROGRESS_TIMEOUT_SEC", seconds) { progressTimeout = UInt64(value) * 1_000_000_000 }
    // Looked at for mistakes only: a caller here waits as long as its operations may take, and one system call moves
    // as much as the socket takes.
    _ = integer("MC_TCP_ADMISSION_TIMEOUT_MS", 1...600_000)
    _ = integer("MC_TCP_SLICE_SIZE", 1...Int.max)
    keepsConnections = !["0", "false", "no"].contains(environment["MC_TCP_ENABLE_CONNECTION_POOL"]?.lowercased())
    usesVersion1 = environment["MC_TCP_PROTO"] == "1"
    self.warnings = warnings
  }
}
