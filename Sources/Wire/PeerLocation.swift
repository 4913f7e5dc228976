internal import FoundationEssentials

/// Where a server's handshake daemon listens, as metadata stores hold it under `rpc_meta/<name>`.
public struct PeerLocation: Equatable, Sendable {
  /// A name or an address without brackets (`ip_or_host_name`).
  public var host: String
  /// The daemon's port (`rpc_port`).
  public var port: UInt16

  /// A location from its parts.
  public init(host: String, port: UInt16) {
    self.host = host
    self.port = port
  }

  /// The JSON text with its trailing newline.
  public func encoded() -> [UInt8] {
    var writer = JSONWriter()
    writer.object { object in
      object.key("ip_or_host_name")
      object.string(host)
      object.key("rpc_port")
      object.integer(UInt64(port))
    }
    return writer.finished()
  }

  /// Reads JSON text. Throws `malformedJSON`, `wrongType` or `missingValue`.
  public init(decoding body: [UInt8]) throws(WireError) {
    let form = try readJSON(Form.self, from: body, what: "the server's location")
    guard !form.host.isEmpty, form.port != 0 else {
      throw WireError(
        .missingValue, "the server's location: its host is empty or its port is 0",
        advice: "restart the server, or remove its entry from the metadata store")
    }
    self.init(host: form.host, port: form.port)
  }

  private struct Form: Decodable {
    let host: String
    let port: UInt16

    enum CodingKeys: String, CodingKey {
      case host = "ip_or_host_name"
      case port = "rpc_port"
    }
  }
}
