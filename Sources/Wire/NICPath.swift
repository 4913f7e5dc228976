/// One NIC of one server, written `server@device`: what both sides of a handshake call a connection's ends.
public struct NICPath: Hashable, Sendable, CustomStringConvertible {
  /// The server's name, usually `host:port`.
  public let server: String
  /// The NIC's name on that server, as in `rdmap0s2`.
  public let device: String

  /// A path from its two parts.
  public init(server: String, device: String) {
    self.server = server
    self.device = device
  }

  /// Reads `server@device`, split at the first `@`. `nil` when there is no `@` or a part is empty.
  public init?(_ text: String) {
    guard let at = text.firstIndex(of: "@") else { return nil }
    let server = text[..<at]
    let device = text[text.index(after: at)...]
    guard !server.isEmpty, !device.isEmpty else { return nil }
    self.init(server: String(server), device: String(device))
  }

  /// `server@device`.
  public var description: String { "\(server)@\(device)" }
}
