internal import CTransferEngine
internal import DropIn
internal import Topology
internal import TransferEngine

/// The NICs of an engine and its topology, for people and for programs.
struct Links {
  private let nics: [NICDescription]
  private let topology: Topology

  init(_ engine: TransferEngine) {
    nics = engine.nics
    topology = engine.topology
  }

  /// For people.
  var text: String {
    var lines = ["=== Local NICs ==="]
    for nic in nics {
      let node = nic.numaNode.map(String.init) ?? "unknown"
      let speed = nic.linkSpeed.map { "\(Double($0) / 1e9) Gb/s" } ?? "unknown"
      lines.append("\(nic.name)  numa: \(node)  gid: \(nic.gid)  speed: \(speed)  provider: \(nic.provider)")
    }
    if nics.isEmpty { lines.append("none") }
    return (lines + ["", "=== Topology (NIC Selection) ==="]).joined(separator: "\n") + "\n" + topology.table()
  }

  /// For programs. A node that is unknown is -1, a speed that is unknown 0.
  var json: String {
    let entries = nics.map { nic in
      let fields = [
        ("device", Self.quoted(nic.name)), ("numa", "\(nic.numaNode ?? -1)"), ("gid", Self.quoted(nic.gid)),
        ("gid_index", "0"), ("port", "1"), ("speed_gbps", "\(Double(nic.linkSpeed ?? 0) / 1e9)"),
        ("source", Self.quoted(nic.provider)),
      ]
      return "    {\n" + fields.map { "      \"\($0.0)\": \($0.1)" }.joined(separator: ",\n") + "\n    }"
    }
    let list = entries.isEmpty ? "[]" : "[\n" + entries.joined(separator: ",\n") + "\n  ]"
    return "{\n  \"local_nics\": \(list),\n  \"topology\": \(topology.json(styled: false))\n}\n"
  }

  private static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"", "\\": result += "\\\(scalar)"
      // No device has one; it must not end the text, though.
      case _ where scalar.value < 0x20: result += " "
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}

/// `showLinks` of `transfer_engine_c.h`, which describes it.
@c @implementation
public func showLinks(
  _ engine: UnsafeMutableRawPointer?, _ buffer: UnsafeMutablePointer<CChar>?, _ length: Int, _ asJSON: Int32
) -> Int32 {
  Calls.code(engine, "showLinks") { cell throws(TransferError) in
    let links = try cell.with { engine throws(TransferError) in Links(try engine.engine) }
    try Calls.write(asJSON != 0 ? links.json : links.text, to: buffer, length)
    return 0
  }
}
