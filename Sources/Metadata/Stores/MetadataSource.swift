public import Wire

/// Where descriptors are found, as a connection string says.
public enum MetadataSource: Equatable, Sendable {
  /// At their owners (`P2PHANDSHAKE`).
  case peers
  /// In a store behind a URL (`http://…`).
  case http(HTTPAddress)
  /// In etcd, at any of these endpoints (`etcd://…`, or no scheme).
  case etcd([HostPort])
  /// In Redis (`redis://…`).
  case redis(HostPort)

  /// Reads a connection string. Throws `invalidConnectionString`, with what would be right.
  public init(_ text: String) throws(MetadataError) {
    if text == "P2PHANDSHAKE" {
      self = .peers
      return
    }
    let parts = Self.split(text)
    switch parts.scheme {
    case "http":
      self = .http(try HTTPAddress(afterScheme: parts.rest, in: text))
    case "etcd":
      var endpoints: [HostPort] = []
      for entry in parts.rest.split(whereSeparator: { $0 == "," || $0 == ";" }) {
        endpoints.append(try Self.endpoint(String(entry), in: text))
      }
      guard !endpoints.isEmpty else { throw Self.invalid(text, "it names no endpoint") }
      self = .etcd(endpoints)
    case "redis":
      guard !parts.rest.contains("@") else {
        // Not shown: what stands before the @ may be a password.
        throw MetadataError(
          .invalidConnectionString, "the metadata connection string redis://… has a user or a password in it",
          advice: "write redis://host:port, and set MC_REDIS_USERNAME and MC_REDIS_PASSWORD")
      }
      self = .redis(try Self.server(parts.rest, defaultPort: 6379, in: text))
    case "https":
      throw Self.invalid(text, "stores over TLS are not supported in this version")
    default:
      throw Self.invalid(text, "its scheme '\(parts.scheme)' is not known")
    }
  }

  private static func split(_ text: String) -> (scheme: String, rest: String) {
    // Without a scheme it is etcd, also when an endpoint of a list has one of its own.
    var index = text.startIndex
    while index < text.endIndex, text[index] != ":", text[index] != ",", text[index] != ";" {
      index = text.index(after: index)
    }
    guard text[index...].hasPrefix("://") else { return ("etcd", text) }
    return (String(text[..<index]), String(text[text.index(index, offsetBy: 3)...]))
  }

  private static func endpoint(_ entry: String, in text: String) throws(MetadataError) -> HostPort {
    if entry.hasPrefix("https://") { throw invalid(text, "stores over TLS are not supported in this version") }
    var entry = entry.hasPrefix("http://") ? String(entry.dropFirst(7)) : entry
    while entry.hasSuffix("/") { entry.removeLast() }
    return try server(entry, defaultPort: 2379, in: text)
  }

  /// A host with a port that is sure to be there.
  static func server(_ entry: String, defaultPort: UInt16, in text: String) throws(MetadataError) -> HostPort {
    let parsed = HostPort.parse(entry)
    var server = parsed.value
    guard !server.host.isEmpty, !server.host.contains(where: { "/@ ".contains($0) }) else {
      throw invalid(text, "'\(entry)' is no host:port")
    }
    if let warning = parsed.warning { throw invalid(text, warning) }
    server.port = server.port ?? defaultPort
    return server
  }

  static func invalid(_ text: String, _ reason: String) -> MetadataError {
    MetadataError(
      .invalidConnectionString, "the metadata connection string '\(text)' cannot be used: \(reason)",
      advice: "use P2PHANDSHAKE, http://host:port/path, etcd://host:port[,host:port…] or redis://host:port")
  }
}

/// A URL without a query, taken apart.
public struct HTTPAddress: Equatable, Sendable {
  /// The host and the port.
  public let server: HostPort
  /// The path, as it was written.
  public let path: String
  /// Host and port as they were written, which is what the `Host` header says.
  public let authority: String

  init(afterScheme rest: String, in text: String) throws(MetadataError) {
    let end = rest.firstIndex { $0 == "/" || $0 == "?" || $0 == "#" } ?? rest.endIndex
    authority = String(rest[..<end])
    server = try MetadataSource.server(authority, defaultPort: 80, in: text)
    let path = String(rest[end...])
    guard path.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }), !path.contains("#") else {
      throw MetadataSource.invalid(text, "its path has characters that a URL cannot have")
    }
    self.path = path.hasPrefix("/") ? path : "/" + path
  }
}
