import Testing

@testable import Wire

private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

private func code(_ body: String) -> WireError.Code? {
  do { _ = try SegmentDescriptor(decoding: bytes(body)) } catch { return error.code }
  return nil
}

@Suite("Segment descriptors")
struct SegmentTests {
  @Test("the largest numbers, extensions and other alphabets survive a round trip")
  func roundTrip() throws {
    let value = SegmentDescriptor(
      name: "ü:1", transport: .efa, rdmaServerName: "10.0.0.1:5", devices: [.init(name: "d", lid: 3, gid: "00")],
      buffers: [.init(name: "*", address: .max, length: .max, localKeys: [.max], remoteKeys: [0])],
      priorityMatrix: ["*": .init(preferred: [], others: ["d"]), "cpu:0": .init(preferred: ["d"])],
      incarnation: "one", nicAddresses: ["d": [0xFE, 0x80], "e": []])
    let encoded = value.encoded()
    #expect(text(encoded).contains(#""moonrail_incarnation":"one","moonrail_nics":{"d":"fe80","e":""},"name""#))
    #expect(text(encoded).contains("18446744073709551615"))
    #expect(text(encoded).contains(#""rdma_server_name":"10.0.0.1:5""#))
    #expect(try SegmentDescriptor(decoding: encoded) == value)
    #expect(value.nicPathServerName == "10.0.0.1:5")
  }

  @Test("a TCP listener beside NICs survives a round trip, and is believed of engines with an incarnation alone")
  func tcpBeside() throws {
    var value = SegmentDescriptor(
      name: "10.0.0.1:5", transport: .efa, tcpDataPort: 15_771, tcpDataHost: "10.0.0.1", tcpProtocolVersion: 2,
      incarnation: "one")
    #expect(try SegmentDescriptor(decoding: value.encoded()) == value)
    #expect(value.hasTCPListener)
    value.tcpDataPort = 0
    #expect(!value.hasTCPListener)
    value.tcpDataPort = 65_536
    #expect(!value.hasTCPListener)
    // Some publish what happens to be in their memory.
    #expect(!SegmentDescriptor(name: "n", transport: .efa, tcpDataPort: 15_771).hasTCPListener)
    #expect(SegmentDescriptor(name: "n", transport: .tcp).hasTCPListener)
  }

  private func efa(buffer: String, devices: Int = 2, type: String = "efa") -> String {
    let list = (0..<devices).map { #"{"name":"d\#($0)","gid":"00"}"# }.joined(separator: ",")
    return #"{"name":"n","protocol":"\#(type)","devices":[\#(list)],"buffers":[\#(buffer)]}"#
  }

  @Test("keys must be as many as devices, on both sides, unless there are none")
  func keyCounts() {
    func buffer(_ local: String, _ remote: String) -> String {
      #"{"name":"*","addr":1,"length":1,"lkey":\#(local),"rkey":\#(remote)}"#
    }
    #expect(code(efa(buffer: buffer("[1,2]", "[1,2]"))) == nil)
    #expect(code(efa(buffer: buffer("[]", "[]"))) == nil)
    #expect(code(efa(buffer: #"{"name":"*","addr":1,"length":1}"#)) == nil)
    #expect(code(efa(buffer: buffer("[1,2]", "[]"))) == nil)
    #expect(code(efa(buffer: buffer("[1,2,3]", "[1,2,3]"))) == .keyCount)
    #expect(code(efa(buffer: buffer("[1]", "[1]"))) == .keyCount)
    #expect(code(efa(buffer: buffer("[1]", "[1,2]"))) == .keyCount)
    #expect(code(efa(buffer: buffer("[1,2,3]", "[1,2,3]"), type: "barex")) == nil)
  }

  @Test(
    "a buffer without name, address or length costs the whole descriptor",
    arguments: [
      #"{"addr":1,"length":1}"#, #"{"name":"","addr":1,"length":1}"#, #"{"name":"*","addr":0,"length":1}"#,
      #"{"name":"*","length":1}"#, #"{"name":"*","addr":1,"length":0}"#, #"{"name":"*","addr":1}"#,
    ])
  func zeroes(buffer: String) {
    #expect(code(efa(buffer: buffer)) == .missingValue)
    #expect(code(#"{"name":"n","protocol":"tcp","buffers":[\#(buffer)]}"#) == .missingValue)
  }

  @Test("a device needs a name and a gid; its LID may be missing")
  func devices() throws {
    let good = #"{"name":"n","protocol":"efa","devices":[{"name":"d","gid":"00"}],"buffers":[]}"#
    #expect(try SegmentDescriptor(decoding: bytes(good)).devices == [.init(name: "d", lid: 0, gid: "00")])
    #expect(code(#"{"name":"n","protocol":"efa","devices":[{"name":"d","gid":""}]}"#) == .missingValue)
    #expect(code(#"{"name":"n","protocol":"efa","devices":[{"gid":"00"}]}"#) == .missingValue)
  }

  @Test(
    "a missing or broken priority matrix is an empty one",
    arguments: ["null", "5", "[]", #"{"a":5}"#, #"{"a":[["x"]]}"#, #"{"a":[[1],[]]}"#])
  func priorities(matrix: String) throws {
    let body = #"{"name":"n","protocol":"efa","devices":[],"buffers":[],"priority_matrix":\#(matrix)}"#
    #expect(try SegmentDescriptor(decoding: bytes(body)).priorityMatrix.isEmpty)
  }

  @Test("known transports are read, unknown ones are not")
  func transports() throws {
    for name in SegmentProtocol.otherNames {
      let value = try SegmentDescriptor(decoding: bytes(#"{"name":"n","protocol":"\#(name)"}"#))
      #expect(value.transport == .other(name))
    }
    #expect(code(#"{"name":"n","protocol":"carrier-pigeon"}"#) == .unknownProtocol)
    #expect(code(#"{"name":"n"}"#) == .unknownProtocol)
    // Forms of their own must not cost the common fields.
    #expect(code(#"{"name":"n","protocol":"nvmeof","buffers":[{"file_path":"/x","length":5}]}"#) == nil)
  }

  @Test("missing TCP fields have the values peers assume")
  func tcpDefaults() throws {
    let value = try SegmentDescriptor(decoding: bytes(#"{"name":"n","protocol":"tcp"}"#))
    #expect(value.tcpDataPort == 0)
    #expect(value.tcpDataHost == nil)
    #expect(value.tcpProtocolVersion == 1)
    #expect(value.timestamp == nil)
  }

  @Test(
    "confused types are errors, never traps",
    arguments: [
      "5", "[1]", "\"x\"", "true", "null", #"{"name":5,"protocol":"tcp"}"#, #"{"name":"n","protocol":["tcp","rdma"]}"#,
      #"{"name":"n","protocol":"tcp","buffers":{}}"#, #"{"name":"n","protocol":"tcp","buffers":[5]}"#,
      #"{"name":"n","protocol":"tcp","buffers":[{"name":"n","addr":"1","length":1}]}"#,
      #"{"name":"n","protocol":"tcp","buffers":[{"name":"n","addr":-1,"length":1}]}"#,
      #"{"name":"n","protocol":"tcp","buffers":[{"name":"n","addr":18446744073709551616,"length":1}]}"#,
      #"{"name":"n","protocol":"tcp","tcp_data_port":"5"}"#, #"{"name":"n","protocol":"tcp","timestamp":{}}"#,
      #"{"name":"n","protocol":"efa","devices":5}"#, #"{"name":"n","protocol":"efa","devices":[{"name":[]}]}"#,
      #"{"name":"n","protocol":"efa","buffers":[{"name":"*","addr":1,"length":1,"rkey":["1"]}]}"#,
      #"{"name":"n","protocol":"efa","buffers":[{"name":"*","addr":1,"length":1,"rkey":5}]}"#,
    ])
  func confused(body: String) {
    #expect(code(body) == .wrongType)
  }

  @Test("ten thousand buffers on 32 NICs survive a round trip", .timeLimit(.minutes(1)))
  func large() throws {
    let keys = (0..<32).map { UInt64($0) + 1_000_000 }
    let value = SegmentDescriptor(
      name: "n", transport: .efa, devices: (0..<32).map { .init(name: "d\($0)", gid: "00") },
      buffers: (1...10_000).map {
        .init(name: "cpu:0", address: UInt64($0) << 20, length: 1 << 20, localKeys: keys, remoteKeys: keys)
      })
    #expect(try SegmentDescriptor(decoding: value.encoded()) == value)
  }
}
