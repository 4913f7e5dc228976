/// Which NICs are near which memory of one host.
///
/// Memory is named by location: `cpu:0` is NUMA node 0, `cuda:3` is GPU 3, `*` is memory of unknown place. The names and
/// the JSON form are those of Mooncake's topology matrix, so that either side can read the other's.
public struct Topology: Equatable, Sendable, CustomStringConvertible {
  /// The NICs as one location sees them, by name.
  public struct Entry: Equatable, Sendable {
    /// The NICs to use first, best first.
    public var preferred: [String]
    /// The NICs to use when no preferred one works.
    public var others: [String]

    /// An entry of the given NICs.
    public init(preferred: [String], others: [String]) {
      self.preferred = preferred
      self.others = others
    }
  }

  /// The name of memory whose place is not known.
  public static let anywhere = "*"

  /// The NICs of each location, by the location's name.
  public private(set) var entries: [String: Entry]

  /// A topology of the given entries.
  public init(entries: [String: Entry] = [:]) {
    self.entries = entries
  }

  /// Every NIC once: over the locations sorted by name, in order of first appearance, preferred before others.
  ///
  /// Upstream walks the same lists in the order of a hash map. The order here is the same in every process, so an index
  /// into it means the same NIC everywhere.
  public var devices: [String] {
    var seen: Set<String> = []
    var list: [String] = []
    for location in entries.keys.sorted() {
      for device in candidates(inEntry: location) where seen.insert(device).inserted {
        list.append(device)
      }
    }
    return list
  }

  /// The NICs to use first for memory at `location`; empty only if the topology has no NIC.
  ///
  /// A location without a preferred NIC (they were disabled, say) falls back to its others, one that is unknown or has
  /// no NIC at all to the entry `*`, and without that to all NICs.
  public func preferred(for location: String) -> [String] {
    for name in [location, Self.anywhere] {
      guard let entry = entries[name] else { continue }
      if !entry.preferred.isEmpty { return entry.preferred }
      if !entry.others.isEmpty { return entry.others }
    }
    return devices
  }

  /// Every NIC for memory at `location` in the order to try them: preferred, then others. Falls back as
  /// `preferred(for:)` does.
  public func candidates(for location: String) -> [String] {
    for name in [location, Self.anywhere] {
      let list = candidates(inEntry: name)
      if !list.isEmpty { return list }
    }
    return devices
  }

  /// The NICs that memory at `location` should be registered on when each buffer goes only to the NICs near it
  /// (`MC_EFA_NIC_SELECTION=local`), as indices into `names`; nil: register on all of them.
  ///
  /// Nil for host memory (`cpu…`), for a location that is unknown, and for one with no preferred NIC among `names`: the
  /// rule of upstream's local NIC map, which never registers on the others alone.
  public func registrationNICs(for location: String, among names: [String]) -> [Int]? {
    guard !location.hasPrefix("cpu"), let entry = entries[location] else { return nil }
    let indices = entry.preferred.compactMap { names.firstIndex(of: $0) }
    return indices.isEmpty ? nil : indices
  }

  /// Removes a NIC from every entry. The other NICs keep their order; a location that loses its last NIC stays.
  public mutating func disable(device: String) {
    for location in Array(entries.keys) {
      entries[location]?.preferred.removeAll { $0 == device }
      entries[location]?.others.removeAll { $0 == device }
    }
  }

  /// The styled JSON form.
  public var description: String { json(styled: true) }

  private func candidates(inEntry location: String) -> [String] {
    guard let entry = entries[location] else { return [] }
    return entry.preferred + entry.others
  }
}
