internal import Glibc
internal import TransferEngine

/// What a demo has shown, for people.
struct DemoReport {
  let text: String

  init(_ exchange: DemoExchange, targetProcess: Int) {
    let flags = exchange.choice.shellFlags
    let isTCP = exchange.choice.transport == .tcp
    let provider = exchange.nics.first?.provider ?? exchange.choice.label
    let plan = exchange.plan
    let path = exchange.isDirect ? "the kernel, from process to process" : isTCP ? "TCP" : "libfabric"
    let nics = exchange.nics.map(\.name)
    let nicText = nics.prefix(4).joined(separator: ", ") + (nics.count > 4 ? ", …" : "")
    var lines = [
      "",
      "Two processes, one host: data moved through \(path) and was compared byte for byte.",
      "",
      "  initiator   \(exchange.names.initiator)  process \(getpid())",
      "  target      \(exchange.names.target)  process \(targetProcess)",
      "  provider    \(provider)\(exchange.library.map { ", \($0)" } ?? "")",
      "  NICs        \(isTCP ? "none, by sockets" : "\(nics.count): \(nicText)")",
      "  connect     \(durationText(nanoseconds: exchange.warmupNanoseconds))",
      "  batches     \(plan.batchSize) x \(byteText(plan.blockSize)), one at a time, one thread",
      "",
      Self.row("", "bytes", "throughput", "p50", "p90", "p99", "max", "verified"),
    ]
    lines.append(Self.row("write", exchange.writes, verified: exchange.verifiedBytes))
    lines.append(Self.row("read", exchange.reads, verified: exchange.verifiedBytes))
    lines += [
      "",
      "  Times are per batch; what was written is verified by what was read back.",
      "",
      "Next:",
      "  moonrail topology\(isTCP ? "" : " " + flags)",
      "  moonrail bench --mode=target \(flags) --local_server_name=127.0.0.1     # prints host:port",
      "  moonrail bench \(flags) --segment_id=HOST:PORT --operation=write --verify",
      "  On hosts with EFA cards: the same with --protocol=efa, or moonrail demo --provider=efa",
    ]
    text = lines.joined(separator: "\n")
  }

  private static func row(_ name: String, _ leg: DemoExchange.Leg, verified: Int) -> String {
    func time(_ percent: Double) -> String { durationText(nanoseconds: leg.latency.percentile(percent)) }
    return row(
      name, String(leg.bytes),
      ReportUnit.GB.rate(bytes: Double(leg.bytes), seconds: Double(leg.nanoseconds) / 1e9, precision: 2),
      time(50), time(90), time(99), durationText(nanoseconds: leg.latency.maximum),
      leg.bytes == verified ? "yes" : "NO")
  }

  private static func row(_ name: String, _ columns: String...) -> String {
    let widths = [13, 12, 10, 10, 10, 10, 9]
    return "  " + name.padded(right: 6) + zip(columns, widths).map { $0.padded(left: $1) }.joined(separator: " ")
  }
}
