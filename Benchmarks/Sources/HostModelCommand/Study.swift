import HostModel

/// Predictions for several hosts over the length of the blocks, as they are and with a provider that costs nothing.
struct Study {
  struct Row {
    let block: Int
    /// With everything that was assumed.
    let whole: Prediction
    /// With a provider that costs nothing: what the engine's own software allows.
    let engineAlone: Prediction
    let published: Double?
  }
  struct Part {
    let host: InstanceType
    let rows: [Row]

    /// The shortest block from which on the wire is the limit.
    func fromWhichTheWireLimits(_ prediction: (Row) -> Prediction) -> Int? {
      let others = rows.lastIndex { prediction($0).limit != .wire }.map { $0 + 1 } ?? 0
      return others < rows.count ? rows[others].block : nil
    }
  }

  /// 4 KiB to 4 MiB.
  static let blocks = (12...22).map { 1 << $0 }

  let assumptions: Assumptions
  let parts: [Part]

  init(hosts: [InstanceType], assumptions: Assumptions) throws {
    self.assumptions = assumptions
    var alone = assumptions
    alone.providerInstructions = 0
    parts = try hosts.map { host in
      let (whole, engine) = (try Model(host, assumptions), try Model(host, alone))
      let rows = try Self.blocks.map { block in
        Row(
          block: block, whole: try whole.predict(block: block), engineAlone: try engine.predict(block: block),
          published: host.published.first { $0.block == block }?.rate)
      }
      return Part(host: host, rows: rows)
    }
  }

  /// Every assumption, a line each.
  var premises: [String] {
    let credits = parts.map { "\($0.host.name) \($0.host.credits)" }.joined(separator: ", ")
    let instructions = parts.map {
      let counted = assumptions.engineInstructions ?? Assumptions.engineInstructions(nics: $0.host.nics)
      return "\($0.host.name) \(rounded(counted))"
    }.joined(separator: ", ")
    return [
      "instructions per operation in the engine (counted on the null fabric): \(instructions)",
      "instructions per operation in the provider (not measured): \(rounded(assumptions.providerInstructions)); 0 in the "
        + "column 'engine alone'",
      "instructions per nanosecond: \(decimal(assumptions.instructionsPerNanosecond)); cores that drive the NICs: "
        + "\(assumptions.cores)",
      "round trip: \(decimal(assumptions.roundTrip)) us; part of the line rate left for data: "
        + "\(decimal(assumptions.wireEfficiency))",
      "operations in flight per NIC: \(credits)",
      "\(assumptions.batchesUnderWay) batches of \(assumptions.batch) writes under way, blocks in an order by seed "
        + "\(assumptions.seed), none next to another",
      "not modelled: memory, PCIe, packets per second, the network, other work on the cores",
    ]
  }

  var table: String {
    var lines = premises.map { "- " + $0 }
    for part in parts {
      let host = part.host
      lines += [
        "", "\(host.name): \(host.nics) x \(decimal(host.lineRate)) Gbps = \(rounded(host.wireRate)) GB/s", "",
        "| block | GB/s | limited by | engine alone, GB/s | limited by | upstream published, GB/s |",
        "|---|---|---|---|---|---|",
      ]
      for row in part.rows {
        lines.append(
          "| \(Self.size(row.block)) | \(rounded(row.whole.rate)) | \(row.whole.limit) | \(rounded(row.engineAlone.rate)) "
            + "| \(row.engineAlone.limit) | \(row.published.map(rounded) ?? "") |")
      }
      let anywhere = host.published.filter { $0.block == nil }.map { rounded($0.rate) }
      if !anywhere.isEmpty {
        lines += ["", "Upstream published \(anywhere.joined(separator: ", ")) GB/s without the length of a block."]
      }
      func from(_ block: Int?) -> String { block.map { "from \(Self.size($0))" } ?? "at no length that was tried" }
      lines += [
        "",
        "The wire is the limit \(from(part.fromWhichTheWireLimits(\.whole))); for the engine alone "
          + "\(from(part.fromWhichTheWireLimits(\.engineAlone))).",
      ]
    }
    return lines.joined(separator: "\n")
  }

  var json: String {
    func text(_ value: String) -> String { "\"" + value.filter { $0 != "\"" && $0 != "\\" } + "\"" }
    func prediction(_ value: Prediction) -> String {
      "{\"gigabytes_per_second\": \(value.rate), \"limit\": \(text(value.limit.rawValue))}"
    }
    let hosts = parts.map { part -> String in
      let rows = part.rows.map { row in
        "      {\"block\": \(row.block), \"predicted\": \(prediction(row.whole)), \"engine_alone\": "
          + "\(prediction(row.engineAlone)), \"published\": \(row.published.map { "\($0)" } ?? "null")}"
      }
      return "    {\"host\": \(text(part.host.name)), \"nics\": \(part.host.nics), \"gigabits_per_nic\": "
        + "\(part.host.lineRate), \"credits\": \(part.host.credits), \"blocks\": [\n"
        + rows.joined(separator: ",\n") + "\n    ]}"
    }
    return "{\n  \"assumptions\": [\n" + premises.map { "    " + text($0) }.joined(separator: ",\n")
      + "\n  ],\n  \"hosts\": [\n" + hosts.joined(separator: ",\n") + "\n  ]\n}"
  }

  static func size(_ bytes: Int) -> String {
    bytes >= 1 << 20 ? "\(bytes >> 20) MiB" : "\(bytes >> 10) KiB"
  }
}

/// Without decimals from 100 on, otherwise with one.
func rounded(_ value: Double) -> String {
  if value >= 100 { return "\(Int(value.rounded()))" }
  return decimal((value * 10).rounded() / 10)
}

/// Without a fraction that says nothing.
func decimal(_ value: Double) -> String { value == value.rounded() ? "\(Int(value))" : "\(value)" }
