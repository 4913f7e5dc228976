import Testing
import Topology

@Suite("The topology's JSON is read strictly and written as upstream writes it")
struct TopologyJSONTests {
  static let matrix = #"{"cpu:0":[["a","b"],["c"]],"cuda:0":[["c"],[]]}"#

  @Test func roundTrip() throws {
    let topology = try Topology(json: Self.matrix)
    #expect(topology.entries["cpu:0"] == Topology.Entry(preferred: ["a", "b"], others: ["c"]))
    #expect(topology.json(styled: false) == Self.matrix)
    #expect(try Topology(json: topology.json(styled: true)) == topology)
    #expect(topology.description == topology.json(styled: true))
  }

  @Test func styledAsUpstreamPrintsIt() throws {
    #expect(
      try Topology(json: #"{"cpu:0":[[],[]]}"#).json(styled: true)
        == "{\n\t\"cpu:0\" : \n\t[\n\t\t[],\n\t\t[]\n\t]\n}\n")
    #expect(
      try Topology(json: #"{"cuda:0":[["b"],[]],"cpu:0":[["a","b"],["c"]]}"#).json(styled: true) == """
        {
        \t"cpu:0" :\u{20}
        \t[
        \t\t[
        \t\t\t"a",
        \t\t\t"b"
        \t\t],
        \t\t[
        \t\t\t"c"
        \t\t]
        \t],
        \t"cuda:0" :\u{20}
        \t[
        \t\t[
        \t\t\t"b"
        \t\t],
        \t\t[]
        \t]
        }

        """)
  }

  @Test func namesThatNeedEscapes() throws {
    let topology = Topology(entries: ["\"\\\n\u{1}é😀": .init(preferred: [], others: [])])
    #expect(topology.json(styled: false) == #"{"\"\\\n\u0001\u00e9\ud83d\ude00":[[],[]]}"#)
    #expect(try Topology(json: topology.json(styled: false)) == topology)
  }

  @Test func emptyTopology() throws {
    let topology = try Topology(json: "{}")
    #expect(topology == Topology())
    #expect(topology.devices.isEmpty)
    #expect(topology.preferred(for: "cpu:0").isEmpty)
    #expect(topology.json(styled: true) == "{}\n")
  }

  @Test(arguments: [
    #"[]"#, #"{"cpu:0":[]}"#, #"{"cpu:0":[["a"]]}"#, #"{"cpu:0":[["a"],[],[]]}"#, #"{"cpu:0":"a"}"#,
    #"{"cpu:0":[["a"],"b"]}"#, #"{"cpu:0":[["a"],[1]]}"#, #"{"cpu:0":[["a"],null]}"#, #"{"cpu:0":null}"#, "null",
  ])
  func anotherShapeIsRefused(text: String) {
    let error = #expect(throws: TopologyError.self) { try Topology(json: text) }
    #expect(error?.code == .wrongShape, "\(String(describing: error))")
  }

  @Test(arguments: ["", "{", #"{"cpu:0":[[],[]]} x"#, "\u{0}", String(repeating: "[", count: 100_000)])
  func whatIsNotJSONIsRefused(text: String) {
    let error = #expect(throws: TopologyError.self) { try Topology(json: text) }
    #expect(error?.code == .notJSON, "\(String(describing: error))")
  }

  @Test func bytesThatAreNotUTF8AreRefused() {
    let text = Array(#"{"cpu:0":[["a?"],[]]}"#.utf8)
    #expect(throws: TopologyError.self) { try Topology(json: text.map { $0 == UInt8(ascii: "?") ? 0xff : $0 }) }
  }

  @Test func theErrorNamesThePlace() {
    let error = #expect(throws: TopologyError.self) { try Topology(json: #"{"cuda:7":[["a"],[1]]}"#) }
    #expect(error?.message.contains(#""cuda:7"[1][0]"#) == true, "\(String(describing: error))")
    #expect(error?.description.contains("exactly two lists") == true)
  }
}
