extension HandshakeOptions {
  /// Reads the settings from environment variables. A bad value keeps its default and gives a warning; nothing fails.
  public static func fromEnvironment(
    _ environment: [String: String]
  ) -> (options: HandshakeOptions, warnings: [String]) {
    var reader = Reader(environment: environment)
    var options = HandshakeOptions()
    options.portRange = reader.portRange(default: options.portRange)
    if let value = environment["MC_USE_IPV6"] {
      // Every value counts, as in the original engine; those that look like "no" are likely a mistake.
      options.usesIPv6 = true
      if ["", "0", "false", "no", "off"].contains(value.lowercased()) {
        reader.warnings.append("MC_USE_IPV6=\"\(value)\" turns IPv6 on, as any value does; unset it to use IPv4")
      }
    }
    options.defaultPort = reader.integer("MC_HANDSHAKE_PORT", in: 1...UInt16.max) ?? options.defaultPort
    options.listenBacklog = reader.integer("MC_HANDSHAKE_LISTEN_BACKLOG", in: 1...Int32.max) ?? options.listenBacklog
    if let seconds = reader.integer("MC_HANDSHAKE_CONNECT_TIMEOUT", in: 1...3599) {
      options.connectTimeout = .seconds(seconds)
    }
    options.maximumFrameLength =
      reader.integer("MC_HANDSHAKE_MAX_LENGTH", in: smallestMaximumFrameLength...largestMaximumFrameLength)
      ?? options.maximumFrameLength
    return (options, reader.warnings)
  }
}

/// Reads numbers and collects what is wrong with them.
private struct Reader {
  let environment: [String: String]
  var warnings: [String] = []

  mutating func integer<Value: FixedWidthInteger>(_ name: String, in range: ClosedRange<Value>) -> Value? {
    guard let text = environment[name] else { return nil }
    if let value = decimal(text, as: Value.self), range.contains(value) { return value }
    warnings.append(
      "\(name)=\"\(text)\" is not a number from \(range.lowerBound) to \(range.upperBound); its default is used")
    return nil
  }

  /// A bad bound, or bounds in the wrong order, cost both of them.
  mutating func portRange(default fallback: ClosedRange<UInt16>) -> ClosedRange<UInt16> {
    let low = bound("MC_MIN_RPC_PORT", misspelt: "MC_MIN_PRC_PORT", default: fallback.lowerBound)
    let high = bound("MC_MAX_RPC_PORT", misspelt: "MC_MAX_PRC_PORT", default: fallback.upperBound)
    guard let low, let high else { return fallback }
    guard low <= high else {
      warnings.append(
        "MC_MIN_RPC_PORT \(low) is above MC_MAX_RPC_PORT \(high); ports \(fallback.lowerBound) to"
          + " \(fallback.upperBound) are used. Set both")
      return fallback
    }
    return low...high
  }

  private mutating func bound(_ name: String, misspelt: String, default fallback: UInt16) -> UInt16? {
    let name = environment[name] == nil ? misspelt : name
    guard let text = environment[name] else { return fallback }
    // The kernel hands 32768 to 60999 to outgoing connections, which would take the port now and then.
    if let port = decimal(text, as: UInt16.self), port >= 1024, !(32768...60999).contains(port) { return port }
    warnings.append(
      "\(name)=\"\(text)\" is not a port from 1024 to 32767 or 61000 to 65535; the default range is used")
    return nil
  }

  private func decimal<Value: FixedWidthInteger>(_ text: String, as type: Value.Type) -> Value? {
    guard text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
    return Value(text)
  }
}
