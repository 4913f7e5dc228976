import Testing
import Topology

@Suite("A custom topology is used, or its warning says why not")
struct CustomTopologyTests {
  @Test func unset() {
    let custom = Topology.custom(environment: [:])
    #expect(custom.topology == nil)
    #expect(custom.warning == nil)
  }

  @Test func aGoodFile() throws {
    let host = try FakeHost(nodes: 0)
    let path = host.root + "/topology.json"
    try host.write(#"{"cpu:0":[["a"],[]]}"#, to: path)
    let custom = Topology.custom(environment: ["MC_CUSTOM_TOPO_JSON": path])
    #expect(custom.topology == Topology(entries: ["cpu:0": .init(preferred: ["a"], others: [])]))
    #expect(custom.warning == nil)
  }

  @Test func setButEmpty() {
    let custom = Topology.custom(environment: ["MC_CUSTOM_TOPO_JSON": ""])
    #expect(custom.topology == nil)
    #expect(custom.warning?.contains("set but empty") == true)
  }

  @Test func unreadable() throws {
    let host = try FakeHost(nodes: 0)
    for path in [host.root + "/absent.json", host.root] {
      let custom = Topology.custom(environment: ["MC_CUSTOM_TOPO_JSON": path])
      #expect(custom.topology == nil)
      #expect(custom.warning?.contains("\(path) cannot be read") == true, "\(custom.warning ?? "")")
    }
  }

  @Test(arguments: ["", "{", #"{"cpu:0":[["a"]]}"#]) func invalid(text: String) throws {
    let host = try FakeHost(nodes: 0)
    let path = host.root + "/topology.json"
    try host.write(text, to: path)
    let custom = Topology.custom(environment: ["MC_CUSTOM_TOPO_JSON": path])
    #expect(custom.topology == nil)
    #expect(custom.warning?.contains(path) == true)
  }

  @Test func tooLong() {
    let custom = Topology.custom(environment: ["MC_CUSTOM_TOPO_JSON": "/dev/zero"])
    #expect(custom.warning?.contains("longer than 4194304 bytes") == true, "\(custom.warning ?? "")")
  }
}
