import Foundation
import Testing

@testable import Wire

@Suite("Handshakes as upstream sends them")
struct RecordedHandshakeTests {
  private static let controlling: [Build] = [.efa, .tcp]

  @Test("frames are the bytes that ours are", arguments: Build.allCases)
  func frames(build: Build) throws {
    let both = ["metadata-request", "metadata-reply", "connection-unknown"]
    let control = ["notify-request", "notify-reply", "probe-request", "probe-reply"]
    let types: [String: HandshakeMessageType] = [
      "metadata": .metadata, "connection": .connection, "notify": .notify, "probe": .probe,
    ]
    for name in both + (build == .oldTCP ? [] : control) {
      let recorded = try Recorded(build, "\(name).frame")
      let frame = try recorded.frame
      #expect(frame.type == types[String(name.prefix { $0 != "-" })], "\(name)")
      #expect(frame.encoded() == recorded.bytes, "\(name)")
      #expect(frame.body.last == UInt8(ascii: "\n"), "\(name)")
    }
  }

  @Test("a request without a type byte is answered without one", arguments: Build.allCases)
  func oldForm(build: Build) throws {
    let recorded = try Recorded(build, "connection-unknown-old-form.frame")
    #expect(try recorded.frame.type == nil)
    #expect(try recorded.frame.encoded() == recorded.bytes)
    #expect(try recorded.frame.body == Recorded(build, "connection-unknown.frame").frame.body)
  }

  // MARK: Connecting NICs

  @Test("request and reply to connect two NICs", arguments: ["connection-request.frame", "connection-reply.frame"])
  func connection(name: String) throws {
    let recorded = try Recorded(.efa, name)
    let object = try recorded.object
    let message = try ConnectionMessage(decoding: recorded.frame.body)
    #expect(try Hexadecimal.encode(message.efaAddress) == value("efa_addr", of: object))
    #expect(message.efaAddress.count == 32)
    #expect(try message.localNICPath == value("local_nic_path", of: object))
    #expect(try message.peerNICPath == value("peer_nic_path", of: object))
    #expect(try message.localLID == value("local_lid", of: object, as: UInt32.self))
    #expect(try message.localGID == value("local_gid", of: object))
    #expect(try message.queuePairNumbers == value("qp_num", of: object))
    #expect(try message.payload == value("payload", of: object))
    #expect(try message.replyMessage == value("reply_msg", of: object))
    #expect(message.replyMessage.isEmpty)
    #expect(message.nicAddresses == nil)
    #expect(message.incarnation == nil)

    #expect(HandshakeFrame(type: .connection, body: message.encoded()).encoded() == recorded.bytes)
    #expect(try keys(of: message).subtracting(object.keys).isEmpty)
  }

  @Test("the two ends of a connection name each other")
  func ends() throws {
    let request = try ConnectionMessage(decoding: Recorded(.efa, "connection-request.frame").frame.body)
    let reply = try ConnectionMessage(decoding: Recorded(.efa, "connection-reply.frame").frame.body)
    let initiator = try SegmentDescriptor(decoding: Recorded(.efa, "metadata-request.frame").frame.body)
    let target = try SegmentDescriptor(decoding: Recorded(.efa, "metadata-reply.frame").frame.body)
    #expect(reply.peerNICPath == request.localNICPath)
    #expect(request.efaAddress != reply.efaAddress)
    for (message, descriptor) in [(request, initiator), (reply, target)] {
      let path = try #require(NICPath(message.localNICPath))
      #expect(path.server == descriptor.nicPathServerName)
      let device = try #require(descriptor.devices.first { $0.name == path.device })
      // What a descriptor says of a NIC is the part of its address that stays: the GID.
      #expect(Hexadecimal.encode(Array(message.efaAddress.prefix(16))) == device.gid.prefix(32))
    }
  }

  @Test("our own request has upstream's keys, and none beside them but those with our prefix")
  func ourRequest() throws {
    let object = try Recorded(.efa, "connection-request.frame").object
    let ours = try keys(of: ConnectionMessage(nicAddresses: ["rdmap0s0": [1]], incarnation: "x"))
    #expect(Set(object.keys).subtracting(ours).isEmpty)
    let additional = ours.subtracting(object.keys)
    #expect(additional.allSatisfy { $0.hasPrefix("moonrail_") })
    #expect(additional.count == 2)
  }

  @Test("who asks for a NIC that is not there is refused by EFA, and gets an empty answer from TCP")
  func unknownNIC() throws {
    let refusal = try Recorded(.efa, "connection-unknown.frame")
    let message = try ConnectionMessage(decoding: refusal.frame.body)
    #expect(message == .refusal("Handshake callback failed: -1"))
    #expect(try message.encoded() == refusal.frame.body)

    let empty = try Recorded(.tcp, "connection-unknown.frame")
    #expect(try ConnectionMessage(decoding: empty.frame.body) == ConnectionMessage())
    #expect(try ConnectionMessage().encoded(includingEFAAddress: false) == empty.frame.body)

    // Older ones write fewer keys.
    let old = try Recorded(.oldTCP, "connection-unknown.frame")
    #expect(try ConnectionMessage(decoding: old.frame.body) == ConnectionMessage())
    #expect(try Set(old.object.keys) == ["local_nic_path", "peer_nic_path", "qp_num", "reply_msg"])
  }

  private func keys(of message: ConnectionMessage) throws -> Set<String> {
    let object = try JSONSerialization.jsonObject(with: Data(message.encoded()))
    return Set(try #require(object as? [String: Any]).keys)
  }

  // MARK: Notifications and probes

  @Test("a notification and its answer", arguments: controlling)
  func notification(build: Build) throws {
    let request = try Recorded(build, "notify-request.frame").frame
    let message = NotifyMessage(name: "agent", message: "hello")
    #expect(try NotifyMessage(decoding: request.body) == message)
    #expect(message.encoded() == request.body)

    let reply = try Recorded(build, "notify-reply.frame").frame
    #expect(try NotifyMessage(decoding: reply.body) == .accepted)
    #expect(NotifyMessage.accepted.encoded() == reply.body)
  }

  @Test("a probe and its answer", arguments: controlling)
  func probe(build: Build) throws {
    let request = try Recorded(build, "probe-request.frame").frame
    try validateJSON(request.body)
    #expect(request.body == Array("{}\n".utf8))

    let reply = try Recorded(build, "probe-reply.frame").frame
    #expect(try ProbeReply(decoding: reply.body) == ProbeReply())
    #expect(ProbeReply().encoded() == reply.body)
  }
}
