import Testing

@testable import Metadata

@Suite("Settings from the environment")
struct EnvironmentTests {
  @Test("nothing set gives the defaults")
  func defaults() {
    let (options, warnings) = HandshakeOptions.fromEnvironment([:])
    #expect(options == HandshakeOptions())
    #expect(warnings.isEmpty)
    #expect(options.portRange == 15000...17000)
    #expect(options.defaultPort == 12001)
    #expect(options.maximumFrameLength == 1_048_576)
  }

  @Test("good values are taken")
  func good() {
    let (options, warnings) = HandshakeOptions.fromEnvironment([
      "MC_MIN_RPC_PORT": "1024", "MC_MAX_RPC_PORT": "65535", "MC_USE_IPV6": "1", "MC_HANDSHAKE_PORT": "65535",
      "MC_HANDSHAKE_LISTEN_BACKLOG": "1", "MC_HANDSHAKE_CONNECT_TIMEOUT": "3599",
      "MC_HANDSHAKE_MAX_LENGTH": "134217728",
    ])
    #expect(warnings.isEmpty)
    #expect(options.portRange == 1024...65535)
    #expect(options.usesIPv6)
    #expect(options.defaultPort == 65535)
    #expect(options.listenBacklog == 1)
    #expect(options.connectTimeout == .seconds(3599))
    #expect(options.maximumFrameLength == 134_217_728)
  }

  @Test(
    "a bad bound costs the whole range, with a warning",
    arguments: [
      ["MC_MIN_RPC_PORT": "1023"], ["MC_MIN_RPC_PORT": "17001"], ["MC_MAX_RPC_PORT": "14999"],
      ["MC_MIN_RPC_PORT": "20000", "MC_MAX_RPC_PORT": "32768"],
      ["MC_MIN_RPC_PORT": "60999", "MC_MAX_RPC_PORT": "65000"],
      ["MC_MIN_RPC_PORT": "x"], ["MC_MIN_RPC_PORT": ""], ["MC_MIN_RPC_PORT": "+15000"], ["MC_MAX_RPC_PORT": "65536"],
      ["MC_MIN_PRC_PORT": "1"],
    ])
  func badRange(environment: [String: String]) {
    let (options, warnings) = HandshakeOptions.fromEnvironment(environment)
    #expect(options.portRange == 15000...17000)
    #expect(warnings.count == 1)
  }

  @Test("the misspelt names count only where the right one is not set")
  func misspelt() {
    let both = ["MC_MIN_RPC_PORT": "16000", "MC_MIN_PRC_PORT": "15500", "MC_MAX_PRC_PORT": "16500"]
    #expect(HandshakeOptions.fromEnvironment(both).options.portRange == 16000...16500)
  }

  @Test(
    "a value outside its range keeps the default, with a warning",
    arguments: [
      ("MC_HANDSHAKE_PORT", "0"), ("MC_HANDSHAKE_PORT", "65536"), ("MC_HANDSHAKE_LISTEN_BACKLOG", "0"),
      ("MC_HANDSHAKE_LISTEN_BACKLOG", "-1"), ("MC_HANDSHAKE_CONNECT_TIMEOUT", "0"),
      ("MC_HANDSHAKE_CONNECT_TIMEOUT", "3600"), ("MC_HANDSHAKE_MAX_LENGTH", "1048575"),
      ("MC_HANDSHAKE_MAX_LENGTH", "134217729"), ("MC_HANDSHAKE_MAX_LENGTH", "99999999999999999999999"),
      ("MC_HANDSHAKE_MAX_LENGTH", "1M"),
    ])
  func outside(name: String, value: String) {
    let (options, warnings) = HandshakeOptions.fromEnvironment([name: value])
    #expect(options == HandshakeOptions())
    #expect(warnings.count == 1)
    #expect(warnings.first?.contains(name) == true)
  }

  @Test("any value turns IPv6 on, one that looks like no with a warning", arguments: ["", "0", "false"])
  func ipv6(value: String) {
    let (options, warnings) = HandshakeOptions.fromEnvironment(["MC_USE_IPV6": value])
    #expect(options.usesIPv6)
    #expect(warnings.count == 1)
  }
}
