/// Which NICs may be used, by exact name.
///
/// Two lists count together: what the caller gave as `device_name`, and the variable `MC_TE_FILTERS`. Both are comma
/// separated, blanks around a name are ignored. Two empty lists accept every NIC.
public struct DeviceFilter: Equatable, Sendable {
  /// The accepted names in the order given, each once; empty accepts every NIC.
  public let names: [String]

  /// The union of both lists.
  ///
  /// - Parameters:
  ///   - deviceNames: the caller's list, comma separated.
  ///   - environment: the process's variables, of which `MC_TE_FILTERS` is read.
  public init(deviceNames: String = "", environment: [String: String] = [:]) {
    var seen: Set<String> = []
    names = (Self.split(deviceNames) + Self.split(environment["MC_TE_FILTERS"] ?? "")).filter {
      seen.insert($0).inserted
    }
  }

  /// Whether the NIC of that name may be used.
  public func accepts(_ name: String) -> Bool {
    names.isEmpty || names.contains(name)
  }

  /// The accepted names that no NIC has, for a message that shows the misspelt ones beside what there is.
  public func unmatched(against available: [String]) -> [String] {
    names.filter { !available.contains($0) }
  }

  private static func split(_ list: String) -> [String] {
    list.split(separator: ",").compactMap { part in
      let head = part.drop(while: \.isWhitespace)
      guard let last = head.lastIndex(where: { !$0.isWhitespace }) else { return nil }
      return String(head[...last])
    }
  }
}
