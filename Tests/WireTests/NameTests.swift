import Testing
import Wire

@Suite("Names of hosts and NICs")
struct NameTests {
  @Test(
    "hosts and ports are read in every form that users write",
    arguments: [
      ("10.0.0.1:8080", "10.0.0.1", 8080), ("host", "host", nil), ("host:0", "host", 0), ("host:65535", "host", 65535),
      ("[::1]", "::1", nil), ("[::1]:99", "::1", 99), ("::1", "::1", nil), ("2001:db8::1:80", "2001:db8::1:80", nil),
      ("fe80::1%eth0", "fe80::1%eth0", nil), ("fe80::1%eth0:81", "fe80::1%eth0", 81),
      ("[fe80::1%eth0]:82", "fe80::1%eth0", 82), ("a:b:7", "a:b", 7), ("", "", nil),
    ] as [(String, String, UInt16?)])
  func forms(text: String, host: String, port: UInt16?) {
    let (value, warning) = HostPort.parse(text)
    #expect(value == HostPort(host: host, port: port))
    #expect(warning == nil)
  }

  @Test(
    "an illegal port is no port, with a warning",
    arguments: ["host:65536", "host:x", "host:", "host:+5", "host:-1", "host: 5", "[::1]:", "[::1]:70000", "host:5x"])
  func illegalPorts(text: String) {
    let (value, warning) = HostPort.parse(text)
    #expect(value.port == nil)
    #expect(value.host == "host" || value.host == "::1")
    #expect(warning?.contains("port") == true)
  }

  @Test("a bracket that is not closed is a warning")
  func openBracket() {
    #expect(HostPort.parse("[::1").warning != nil)
  }

  @Test("what is written can be read back, with brackets around IPv6")
  func description() {
    #expect(HostPort(host: "::1", port: 5).description == "[::1]:5")
    #expect(HostPort(host: "::1").description == "[::1]")
    #expect(HostPort(host: "fe80::1%eth0", port: 5).description == "[fe80::1%eth0]:5")
    #expect(HostPort(host: "1.2.3.4", port: 5).description == "1.2.3.4:5")
    for host in ["::1", "fe80::1%eth0", "name", "1.2.3.4"] {
      let value = HostPort(host: host, port: 1234)
      #expect(HostPort.parse(value.description).value == value)
    }
  }

  @Test("only IPv6 addresses are IPv6 literals")
  func literals() {
    for text in ["::", "::1", "fe80::1%2", "::ffff:1.2.3.4"] { #expect(HostPort.isIPv6Literal(text), "\(text)") }
    for text in ["", "1.2.3.4", "[::1]", "::1%", "fe80::1%e:1", "host:1", "::1\0", "g::1"] {
      #expect(!HostPort.isIPv6Literal(text), "\(text)")
    }
  }

  @Test("a NIC path is split at its first @")
  func nicPaths() {
    #expect(NICPath("10.0.0.1:5@rdmap0s2") == NICPath(server: "10.0.0.1:5", device: "rdmap0s2"))
    #expect(NICPath("a@b@c") == NICPath(server: "a", device: "b@c"))
    #expect(NICPath("[::1]:5@dev")?.description == "[::1]:5@dev")
    for text in ["", "nothing", "@dev", "server@"] { #expect(NICPath(text) == nil, "\(text)") }
  }
}
