import Testing

@testable import Wire

private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

private func code(_ body: () throws -> Void) -> WireError.Code? {
  do { try body() } catch { return (error as? WireError)?.code }
  return nil
}

@Suite("Handshake messages")
struct MessageTests {
  @Test("an empty connection message has the eight keys in byte order and a newline")
  func emptyConnection() {
    #expect(
      text(ConnectionMessage().encoded())
        == #"{"efa_addr":"","local_gid":"","local_lid":0,"local_nic_path":"","payload":"","peer_nic_path":"","#
        + #""qp_num":[],"reply_msg":""}"# + "\n")
    #expect(!text(ConnectionMessage().encoded(includingEFAAddress: false)).contains("efa_addr"))
  }

  @Test("a full connection message survives a round trip")
  func fullConnection() throws {
    let message = ConnectionMessage(
      efaAddress: [0xFE, 0x80, 0, 1], localNICPath: "a:1@x", peerNICPath: "b:2@y", localLID: 7, localGID: "ff:00",
      queuePairNumbers: [1, .max], payload: "p/\"\\", replyMessage: "Grüße 😀",
      nicAddresses: ["b": [1], "a": [0xAB, 0xCD]], incarnation: "run-1")
    let encoded = message.encoded()
    #expect(text(encoded).contains(#""moonrail_incarnation":"run-1","moonrail_nics":{"a":"abcd","b":"01"},"payload""#))
    #expect(text(encoded).contains(#""p/\"\\""#))
    #expect(text(encoded).contains(#"Gr\u00fc\u00dfe \ud83d\ude00"#))
    #expect(try ConnectionMessage(decoding: encoded) == message)
  }

  @Test("control characters are escaped as peers escape them")
  func controlCharacters() throws {
    let message = NotifyMessage(name: "\u{8}\u{c}\n\r\t\u{1}\u{7F}\u{80}", message: "€")
    #expect(
      text(message.encoded()) == #"{"name":"\b\f\n\r\t\u0001"# + "\u{7F}" + #"\u0080","notify_msg":"\u20ac"}"# + "\n")
    #expect(try NotifyMessage(decoding: message.encoded()) == message)
  }

  @Test(
    "missing keys, null, scalars for strings and unknown keys are tolerated",
    arguments: [
      ("{}", ConnectionMessage()), ("null", ConnectionMessage()), (" null\n", ConnectionMessage()),
      (#"{"payload":null,"qp_num":null,"efa_addr":null,"extra":{"x":[1]}}"#, ConnectionMessage()),
      (#"{"payload":5}"#, ConnectionMessage(payload: "5")), (#"{"payload":-5}"#, ConnectionMessage(payload: "-5")),
      (#"{"payload":true}"#, ConnectionMessage(payload: "true")),
      (#"{"payload":1.5}"#, ConnectionMessage(payload: "1.5")),
      (#"{"local_lid":"x","local_gid":[1]}"#, ConnectionMessage()), (#"{"qp_num":5}"#, ConnectionMessage()),
      (#"{"qp_num":"5"}"#, ConnectionMessage()), (#"{"qp_num":[5]}"#, ConnectionMessage(queuePairNumbers: [5])),
      (#"{"efa_addr":"FEfe"}"#, ConnectionMessage(efaAddress: [0xFE, 0xFE])),
    ])
  func tolerance(body: String, expected: ConnectionMessage) throws {
    #expect(try ConnectionMessage(decoding: bytes(body)) == expected)
  }

  @Test(
    "confused types are errors, never traps",
    arguments: [
      "[1]", "5", "\"str\"", "true", #"{"payload":{}}"#, #"{"payload":[]}"#, #"{"qp_num":["x"]}"#, #"{"qp_num":[-1]}"#,
      #"{"qp_num":[4294967296]}"#, #"{"qp_num":{}}"#, #"{"qp_num":[[1]]}"#, #"{"efa_addr":[]}"#,
      #"{"local_nic_path":{}}"#, #"{"peer_nic_path":[1]}"#, #"{"reply_msg":{}}"#, #"{"moonrail_nics":[]}"#,
      #"{"moonrail_nics":{"a":5}}"#, #"{"moonrail_incarnation":5}"#,
    ])
  func confusedConnection(body: String) {
    #expect(code { _ = try ConnectionMessage(decoding: bytes(body)) } == .wrongType)
  }

  @Test(
    "confused notifications are errors", arguments: ["[1]", "5", "\"str\"", #"{"name":[]}"#, #"{"notify_msg":{}}"#])
  func confusedNotification(body: String) {
    #expect(code { _ = try NotifyMessage(decoding: bytes(body)) } == .wrongType)
  }

  @Test("hexadecimal of odd length or with other characters is an error", arguments: ["a", "0g", "é0", "0x10"])
  func badHexadecimal(value: String) {
    #expect(
      code { _ = try ConnectionMessage(decoding: bytes(#"{"efa_addr":"\#(value)"}"#)) } == .badHexadecimal)
    #expect(
      code { _ = try ConnectionMessage(decoding: bytes(#"{"moonrail_nics":{"a":"\#(value)"}}"#)) } == .badHexadecimal)
  }

  @Test("a list of numbers is read up to 4096 of them")
  func longList() throws {
    func body(_ count: Int) -> [UInt8] {
      bytes(#"{"qp_num":[\#(Array(repeating: "1", count: count).joined(separator: ","))]}"#)
    }
    #expect(try ConnectionMessage(decoding: body(4096)).queuePairNumbers.count == 4096)
    #expect(code { _ = try ConnectionMessage(decoding: body(4097)) } == .wrongType)
  }

  @Test("what is not JSON is malformed", arguments: ["", " ", "{", "{\"a\":}", "hello", "\u{0}", "{} x"])
  func malformed(body: String) {
    #expect(code { _ = try ConnectionMessage(decoding: bytes(body)) } == .malformedJSON)
    #expect(code { _ = try NotifyMessage(decoding: bytes(body)) } == .malformedJSON)
    #expect(code { try validateJSON(bytes(body)) } == .malformedJSON)
  }

  @Test("depth and bytes outside UTF-8 are errors")
  func hostileJSON() {
    let deep = Array(repeating: UInt8(ascii: "["), count: 100_000)
    #expect(code { try validateJSON(deep) } == .malformedJSON)
    #expect(code { _ = try ConnectionMessage(decoding: bytes(#"{"payload":"#) + deep) } == .malformedJSON)
    #expect(throws: WireError.self) {
      try NotifyMessage(decoding: bytes(#"{"name":""#) + [0xFF, 0xFE] + bytes(#""}"#))
    }
  }

  @Test(
    "any JSON passes where nobody looks into it", arguments: ["{}", "null", "5", "\"x\"", "[1]", "true", " [ ] \n"])
  func anyJSON(body: String) throws {
    try validateJSON(bytes(body))
  }

  @Test("who asks for a descriptor may say who it is, and is believed only in the right types")
  func descriptorRequest() throws {
    let request = DescriptorRequest(server: "a:1", incarnation: "run-1")
    #expect(text(request.encoded()) == #"{"moonrail_incarnation":"run-1","name":"a:1"}"# + "\n")
    #expect(try DescriptorRequest(decoding: request.encoded()) == request)
    #expect(text(DescriptorRequest().encoded()) == "{}\n")
    // Some send all of their own descriptor.
    let own = SegmentDescriptor(name: "b:2", transport: .tcp).encoded()
    #expect(try DescriptorRequest(decoding: own) == DescriptorRequest(server: "b:2"))
    for body in ["null", "{}", "5", "[1]", "\"x\"", #"{"name":5,"moonrail_incarnation":["a"]}"#] {
      #expect(try DescriptorRequest(decoding: bytes(body)) == DescriptorRequest())
    }
    #expect(code { _ = try DescriptorRequest(decoding: bytes("{")) } == .malformedJSON)
    let deep = Array(repeating: UInt8(ascii: "["), count: 100_000)
    #expect(code { _ = try DescriptorRequest(decoding: deep) } == .malformedJSON)
  }

  @Test("a probe's reply is what peers send")
  func probe() throws {
    #expect(text(ProbeReply().encoded()) == "{\"status\":\"success\"}\n")
    #expect(try ProbeReply(decoding: bytes("{\"status\":\"success\"}\n")) == ProbeReply())
    #expect(try ProbeReply(decoding: bytes("{}")).status == "")
    #expect(code { _ = try ProbeReply(decoding: bytes("[]")) } == .wrongType)
  }

  @Test("an error's text has no bytes of the peer beyond plain characters")
  func errorText() {
    do {
      _ = try ConnectionMessage(decoding: bytes("{\"moonrail_nics\":{\"a\\u001b[31m\":5}}"))
      Issue.record("accepted")
    } catch {
      #expect(error.message.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value < 0x7F })
    }
  }
}
