import HostModel

/// A study as an SVG: a panel for each host, throughput over the length of the blocks, the latter in powers of two.
struct Plot {
  private let study: Study

  private static let panel = (width: 380.0, height: 270.0)
  private static let margin = (left: 52.0, right: 12.0, top: 34.0, bottom: 44.0)

  init(_ study: Study) { self.study = study }

  var text: String {
    let columns = min(2, study.parts.count)
    let rows = (study.parts.count + columns - 1) / max(1, columns)
    let width = Double(columns) * Self.panel.width
    let height = Double(rows) * Self.panel.height + 30
    var lines = [
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"\(width)\" height=\"\(height)\" font-family=\"sans-serif\""
        + " font-size=\"11\">",
      "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>",
    ]
    for (index, part) in study.parts.enumerated() {
      let (x, y) = (Double(index % columns) * Self.panel.width, Double(index / columns) * Self.panel.height)
      lines.append("<g transform=\"translate(\(x) \(y))\">")
      lines += draw(part)
      lines.append("</g>")
    }
    let legend = [("#1f5fa8", "predicted"), ("#7aa6d6", "predicted, engine alone"), ("#c0392b", "upstream, published")]
    for (index, entry) in legend.enumerated() {
      let x = 60 + Double(index) * 190
      lines.append("<rect x=\"\(x)\" y=\"\(height - 20)\" width=\"12\" height=\"4\" fill=\"\(entry.0)\"/>")
      lines.append("<text x=\"\(x + 18)\" y=\"\(height - 14)\">\(entry.1)</text>")
    }
    return (lines + ["</svg>", ""]).joined(separator: "\n")
  }

  private func draw(_ part: Study.Part) -> [String] {
    let top = part.host.wireRate * 1.05
    let plain = (
      width: Self.panel.width - Self.margin.left - Self.margin.right,
      height: Self.panel.height - Self.margin.top - Self.margin.bottom
    )
    func x(_ block: Int) -> Double {
      let first = Study.blocks[0].trailingZeroBitCount
      let steps = Double(Study.blocks.count - 1)
      return tenths(Self.margin.left + Double(block.trailingZeroBitCount - first) / steps * plain.width)
    }
    func y(_ rate: Double) -> Double { tenths(Self.margin.top + (1 - rate / top) * plain.height) }
    func curve(_ color: String, _ rate: (Study.Row) -> Double) -> String {
      let points = part.rows.map { "\(x($0.block)),\(y(rate($0)))" }.joined(separator: " ")
      return "<polyline fill=\"none\" stroke=\"\(color)\" stroke-width=\"2\" points=\"\(points)\"/>"
    }
    let host = part.host
    var lines = [
      "<text x=\"\(Self.margin.left)\" y=\"20\" font-weight=\"bold\">\(host.name), \(host.nics) x "
        + "\(decimal(host.lineRate)) Gbps, GB/s</text>"
    ]
    for quarter in 0...4 {
      let rate = host.wireRate * Double(quarter) / 4
      lines.append(
        "<line x1=\"\(Self.margin.left)\" x2=\"\(Self.panel.width - Self.margin.right)\" y1=\"\(y(rate))\" y2=\""
          + "\(y(rate))\" stroke=\"#ddd\"/>")
      lines.append(
        "<text x=\"\(Self.margin.left - 6)\" y=\"\(y(rate) + 4)\" text-anchor=\"end\">\(rounded(rate))</text>")
    }
    for block in Study.blocks where block.trailingZeroBitCount % 2 == 0 {
      lines.append(
        "<text x=\"\(x(block))\" y=\"\(Self.panel.height - 24)\" text-anchor=\"middle\">\(Study.size(block))</text>")
    }
    lines.append(curve("#7aa6d6") { $0.engineAlone.rate })
    lines.append(curve("#1f5fa8") { $0.whole.rate })
    for point in host.published {
      if let block = point.block {
        lines.append("<circle cx=\"\(x(block))\" cy=\"\(y(point.rate))\" r=\"4\" fill=\"#c0392b\"/>")
      } else {
        lines.append(
          "<line x1=\"\(Self.margin.left)\" x2=\"\(Self.panel.width - Self.margin.right)\" y1=\"\(y(point.rate))\" y2=\""
            + "\(y(point.rate))\" stroke=\"#c0392b\" stroke-dasharray=\"4 4\"/>")
      }
    }
    return lines
  }

  private func tenths(_ value: Double) -> Double { (value * 10).rounded() / 10 }
}
