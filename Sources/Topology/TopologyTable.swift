extension Topology {
  /// The topology as a table for people: one line per location, sorted by name, with its preferred and other NICs.
  public func table() -> String {
    let header = ["location", "preferred", "others"]
    let rows = entries.sorted { $0.key < $1.key }.map { location, entry in
      [location, Self.cell(entry.preferred), Self.cell(entry.others)]
    }
    let widths = header.indices.map { column in ([header] + rows).map { $0[column].count }.max() ?? 0 }
    func line(_ cells: [String]) -> String {
      let padded = zip(cells, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }.joined(separator: "  ")
      return String(padded.reversed().drop { $0 == " " }.reversed()) + "\n"
    }
    let rule = widths.map { String(repeating: "-", count: $0) }
    return ([header, rule] + rows).map(line).joined()
  }

  private static func cell(_ names: [String]) -> String {
    names.isEmpty ? "-" : names.joined(separator: " ")
  }
}
