/// The `MC_*` and `MOONRAIL_*` settings that the engine itself reads, with upstream's defaults and ranges.
///
/// A value out of range is ignored with a warning, as upstream does.
struct Settings: Sendable {
  /// The deadline of every operation, in seconds (`MC_TRANSFER_TIMEOUT`, at least 5).
  var transferTimeout = 30
  /// Operations in flight per NIC; nil: what the provider grants (`MC_MAX_WR`).
  var maximumWorkRequests: Int?
  /// Completion queue entries to ask for (`MC_MAX_CQE_PER_CTX`).
  var completionQueueSize = 4096
  /// Peers' NICs to make room for in an address vector (`MC_MAX_EP_PER_CTX`).
  var addressCount = 65_536
  /// Progress threads; less than 1: one per NIC (`MC_EFA_CQ_THREADS`).
  var progressThreads = 1
  /// Register GPU memory with near NICs only (`MC_EFA_NIC_SELECTION`).
  var nearNICsOnly = false
  /// The most bytes of one registration (`MC_MAX_MR_SIZE`), 1 TiB.
  var maximumRegionSize = 0x100_0000_0000
  /// NICs that register at the same time: nil where the engine decides (`MC_ENABLE_PARALLEL_REG_MR`).
  var parallelRegistration: Bool?
  /// libfabric's provider, if one is named (`MOONRAIL_PROVIDER`).
  var provider: String?
  /// The libfabric to load, if one is named (`MOONRAIL_LIBFABRIC`).
  var libfabricPath: String?
  /// Ask for the descriptor anew whenever it is needed (`MC_DISABLE_METACACHE`).
  var cachesNoMetadata = false
  /// Whether an engine with NICs has TCP beside them (`MOONRAIL_TCP`).
  var hasTCPBeside = true
  /// Whether engines on this host are reached without a NIC (`MOONRAIL_SAME_HOST`).
  var sameHost = true
  /// Seconds between refreshes of all descriptors; 0: never (`MC_TE_METADATA_REFRESH_INTERVAL_SECONDS`).
  var refreshInterval = 0

  /// What was wrong in the environment.
  private(set) var warnings: [String] = []

  init(_ environment: [String: String]) {
    func integer(_ name: String, _ range: ClosedRange<Int>, otherwise: String) -> Int? {
      guard let text = environment[name], !text.isEmpty else { return nil }
      if let value = Int(text), range.contains(value) { return value }
      warnings.append("\(name)='\(text)' is not a number from \(range.lowerBound) to \(range.upperBound): \(otherwise)")
      return nil
    }
    if let text = environment["MC_TRANSFER_TIMEOUT"], !text.isEmpty {
      if let value = Int(text), value >= 5, value < 1 << 31 {
        transferTimeout = value
      } else {
        transferTimeout = Int(text) == nil ? transferTimeout : 5
        warnings.append("MC_TRANSFER_TIMEOUT='\(text)' is not a number of at least 5: using \(transferTimeout) s")
      }
    }
    maximumWorkRequests = integer("MC_MAX_WR", 1...65_535, otherwise: "using what the provider grants")
    let size = integer("MC_MAX_CQE_PER_CTX", 1...65_535, otherwise: "using \(completionQueueSize)")
    completionQueueSize = size ?? completionQueueSize
    addressCount = integer("MC_MAX_EP_PER_CTX", 1...65_535, otherwise: "using \(addressCount)") ?? addressCount
    let threads = integer("MC_EFA_CQ_THREADS", -65_535...65_535, otherwise: "using \(progressThreads)")
    progressThreads = threads ?? progressThreads
    let region = integer("MC_MAX_MR_SIZE", 1...Int.max, otherwise: "using \(maximumRegionSize)")
    maximumRegionSize = region ?? maximumRegionSize
    switch integer("MC_ENABLE_PARALLEL_REG_MR", -1...1, otherwise: "the engine decides") {
    case 0: parallelRegistration = false
    case 1: parallelRegistration = true
    default: break
    }
    switch environment["MC_EFA_NIC_SELECTION"]?.lowercased() {
    case nil, "", "all": break
    case "local": nearNICsOnly = true
    case .some(let text): warnings.append("MC_EFA_NIC_SELECTION='\(text)' is neither 'all' nor 'local': using 'all'")
    }
    cachesNoMetadata = environment["MC_DISABLE_METACACHE"] != nil
    let interval = integer("MC_TE_METADATA_REFRESH_INTERVAL_SECONDS", 0...86_400, otherwise: "never refreshing")
    refreshInterval = interval ?? 0
    hasTCPBeside = !["0", "false", "no"].contains(environment["MOONRAIL_TCP"]?.lowercased())
    sameHost =
      !["0", "false", "no"].contains(environment["MOONRAIL_SAME_HOST"]?.lowercased())
      && environment["MC_FORCE_TCP"] == nil
    provider = environment["MOONRAIL_PROVIDER"].flatMap { $0.isEmpty ? nil : $0 }
    libfabricPath = environment["MOONRAIL_LIBFABRIC"].flatMap { $0.isEmpty ? nil : $0 }
  }
}
