/// A table for people: columns as wide as their widest cell, two spaces between them.
func textTable(_ header: [String], _ rows: [[String]]) -> String {
  let all = [header] + rows
  let widths = header.indices.map { column in all.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
  return all.map { row in
    var line = zip(row, widths).map { $0.padded(right: $1) }.joined(separator: "  ")
    while line.last == " " { line.removeLast() }
    return line
  }.joined(separator: "\n")
}
