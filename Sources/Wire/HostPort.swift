#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Musl)
  internal import Musl
#endif

/// A host and perhaps a port, in the forms that users and peers write them.
public struct HostPort: Hashable, Sendable, CustomStringConvertible {
  /// The host without brackets: a name, an IPv4 address, or an IPv6 address that may carry a scope (`fe80::1%eth0`).
  public var host: String
  /// The TCP port; `nil` when the text has none or has one that is illegal.
  public var port: UInt16?

  /// A host with an optional port.
  public init(host: String, port: UInt16? = nil) {
    self.host = host
    self.port = port
  }

  /// Reads a host with an optional port. Every text has a reading; a doubtful one comes with a warning.
  ///
  /// The forms, tried in this order: `[v6]` and `[v6]:port`; a bare IPv6 address, with or without a scope;
  /// `v6%scope:port`; anything else is split at its last colon.
  public static func parse(_ text: String) -> (value: HostPort, warning: String?) {
    if text.hasPrefix("[") {
      guard let close = text.firstIndex(of: "]") else {
        return (HostPort(host: text), "\"\(text)\" opens a bracket and does not close it; write [address]:port")
      }
      let host = String(text[text.index(after: text.startIndex)..<close])
      let rest = text[text.index(after: close)...]
      guard let colon = rest.firstIndex(of: ":") else { return (HostPort(host: host), nil) }
      return withPort(rest[rest.index(after: colon)...], host: host, text: text)
    }
    if isIPv6Literal(text) { return (HostPort(host: text), nil) }
    if let percent = text.firstIndex(of: "%"), isIPv6Literal(String(text[..<percent])),
      let colon = text[percent...].firstIndex(of: ":")
    {
      return withPort(text[text.index(after: colon)...], host: String(text[..<colon]), text: text)
    }
    guard let colon = text.lastIndex(of: ":") else { return (HostPort(host: text), nil) }
    return withPort(text[text.index(after: colon)...], host: String(text[..<colon]), text: text)
  }

  private static func withPort(
    _ digits: Substring, host: String, text: String
  ) -> (value: HostPort, warning: String?) {
    // UInt16's own parser takes a sign, which the protocol does not.
    if !digits.isEmpty, digits.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let port = UInt16(digits) {
      return (HostPort(host: host, port: port), nil)
    }
    return (
      HostPort(host: host),
      "\"\(text)\" has an illegal port; the default port is used. A port is a decimal number from 0 to 65535"
    )
  }

  /// Whether the text is an IPv6 address without brackets, with or without a scope after `%`.
  public static func isIPv6Literal(_ text: String) -> Bool {
    var address = text[...]
    if let percent = text.firstIndex(of: "%") {
      let scope = text[text.index(after: percent)...]
      guard !scope.isEmpty, !scope.contains(":") else { return false }
      address = text[..<percent]
    }
    // 45 characters hold the longest IPv6 address; a NUL would end the C string early.
    guard address.utf8.count <= 45, !address.utf8.contains(0) else { return false }
    var binary = in6_addr()
    return inet_pton(AF_INET6, String(address), &binary) == 1
  }

  /// `host` or `host:port`, an IPv6 address in brackets: the form that `parse` reads back.
  public var description: String {
    let shown = Self.isIPv6Literal(host) ? "[\(host)]" : host
    guard let port else { return shown }
    return "\(shown):\(port)"
  }
}
