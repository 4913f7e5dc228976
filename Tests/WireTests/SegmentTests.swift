import Testing

@testable import Wire

private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

private func code(_ body: String) -> WireError.Code? {
  do { _ = try SegmentDescriptor(decoding: bytes(body)) } catch { return error.code }
  return nil
}

private let capturedTCP =
  #"{"buffers":[{"addr":140417116532736,"length":1048576,"name":"127.0.0.1:15319"}],"name":"127.0.0.1:15319","#
  + #""protocol":"tcp","rdma_server_name":"","tcp_data_host":"127.0.0.1","tcp_data_port":15771,"#
  + #""tcp_proto_version":2,"timestamp":"2026-11-20 23:28:04.966041"}"# + "\n"

private let capturedEFA =
  #"{"buffers":[{"addr":140604885643264,"length":1048576,"lkey":[1,1],"name":"cpu:0","rkey":[1,1]}],"#
  + #""devices":[{"gid":"0200","lid":0,"name":"rdmap0s2"},{"gid":"0200","lid":0,"name":"rdmap1s2"}],"#
  + #""name":"127.0.0.1:15903","priority_matrix":{"cpu:0":[["rdmap0s2","rdmap1s2"],[]]},"protocol":"efa","#
  + #""tcp_data_port":0,"tcp_proto_version":1,"timestamp":"2026-11-20 23:28:04.966041"}"# + "\n"

@Suite("Segment descriptors")
struct SegmentTests {
  @Test("captured descriptors come out byte for byte as they went in", arguments: [capturedTCP, capturedEFA])
  func captured(body: String) throws {
    #expect(text(try SegmentDescriptor(decoding: bytes(body)).encoded()) == body)
  }

  @Test("a captured TCP descriptor is read as what it says")
  func tcpFields() throws {
    let value = try SegmentDescriptor(decoding: bytes(capturedTCP))
    #expect(
      value
        == SegmentDescriptor(
          name: "127.0.0.1:15319", transport: .tcp, tcpDataPort: 15771, tcpDataHost: "127.0.0.1",
          timestamp: "2026-11-20 23:28:04.966041",
          buffers: [.init(name: "127.0.0.1:15319", address: 140_417_116_532_736, length: 1_048_576)]))
    #expect(value.nicPathServerName == "127.0.0.1:15319")
  }

  @Test("a captured EFA descriptor is read as what it says")
  func efaFields() throws {
    let value = try SegmentDescriptor(decoding: bytes(capturedEFA))
    #expect(value.transport == .efa)
    #expect(value.devices.map(\.name) == ["rdmap0s2", "rdmap1s2"])
    #expect(value.buffers.first?.remoteKeys == [1, 1])
    #expect(value.priorityMatrix == ["cpu:0": .init(preferred: ["rdmap0s2", "rdmap1s2"])])
    #expect(value.tcpProtocolVersion == 1)
  }

  @Test("the largest numbers, extensions and other alphabets survive a round trip")
  func roundTrip() throws {
    let value = SegmentDescriptor(
      name: "ü:1", transport: .efa, rdmaServerName: "10.0.0.1:5", devices: [.init(name: "d", lid: 3, gid: "00")],
      buffers: [.init(name: "*", address: .max, length: .max, localKeys: [.max], remoteKeys: [0])],
      priorityMatrix: ["*": .init(preferred: [], others: ["d"]), "cpu:0": .init(preferred: ["d"])],
      incarnation: "one")
    let encoded = value.encoded()
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
