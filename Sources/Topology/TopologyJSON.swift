internal import FoundationEssentials

extension Topology {
  /// Reads `{"<location>": [["preferred", …], ["other", …]], …}`.
  ///
  /// Every value must be an array of exactly two arrays of strings; nothing else is accepted.
  public init(json: [UInt8]) throws(TopologyError) {
    let matrix: [String: Lists]
    do {
      matrix = try JSONDecoder().decode([String: Lists].self, from: Data(json))
    } catch DecodingError.dataCorrupted(let context) where context.codingPath.isEmpty {
      throw TopologyError(
        .notJSON, "The topology is not JSON: \(context.detail)", remedy: "Correct the text; \(Self.expectedShape)")
    } catch let error as DecodingError {
      throw TopologyError(
        .wrongShape, "The topology has another shape\(error.place)", remedy: "Correct it: \(Self.expectedShape)")
    } catch {
      throw TopologyError(
        .notJSON, "The topology cannot be read: \(error)", remedy: "Correct the text; \(Self.expectedShape)")
    }
    self.init(entries: matrix.mapValues { Entry(preferred: $0.preferred, others: $0.others) })
  }

  /// Reads the JSON form from a string; see `init(json:)` for bytes.
  public init(json: String) throws(TopologyError) {
    try self.init(json: Array(json.utf8))
  }

  /// The JSON form, locations sorted by name.
  ///
  /// - Parameter styled: false gives one line without spaces. True gives, byte for byte, what upstream's `toString` and
  ///   `get_local_topology` print, which scripts compare: jsoncpp's writer in its default settings, with tabs, every
  ///   array that is not empty on one line per element however short, and a newline at the end.
  public func json(styled: Bool) -> String {
    var writer = JSONText(styled: styled)
    writer.object(entries.keys.sorted()) { writer, location in
      guard let entry = entries[location] else { return }
      writer.array([entry.preferred, entry.others]) { writer, names in
        writer.array(names) { writer, name in writer.string(name) }
      }
    }
    return styled ? writer.text + "\n" : writer.text
  }

  private static let expectedShape =
    #"it is {"<location>": [["<preferred NIC>", …], ["<other NIC>", …]], …} with exactly two lists per location"#
}

/// The two lists of one location as they stand in JSON.
private struct Lists: Decodable {
  let preferred: [String]
  let others: [String]

  init(from decoder: any Decoder) throws {
    var container = try decoder.unkeyedContainer()
    preferred = try container.decode([String].self)
    others = try container.decode([String].self)
    guard container.isAtEnd else {
      throw DecodingError.dataCorrupted(
        DecodingError.Context(codingPath: decoder.codingPath, debugDescription: "more than two lists"))
    }
  }
}

extension DecodingError {
  /// Where the unexpected value stands, as ` at "cpu:0"[1]`, and what it should have been.
  fileprivate var place: String {
    switch self {
    case .typeMismatch(_, let context), .valueNotFound(_, let context), .keyNotFound(_, let context),
      .dataCorrupted(let context):
      let path = context.codingPath.map { key in key.intValue.map { "[\($0)]" } ?? "\"\(key.stringValue)\"" }
      return (path.isEmpty ? "" : " at " + path.joined()) + ": " + context.detail
    @unknown default:
      return ": \(self)"
    }
  }
}

extension DecodingError.Context {
  /// The decoder's text without its full stop.
  fileprivate var detail: String {
    debugDescription.hasSuffix(".") ? String(debugDescription.dropLast()) : debugDescription
  }
}
