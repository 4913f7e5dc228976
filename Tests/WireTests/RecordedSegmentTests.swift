import Foundation
import Testing

@testable import Wire

/// Both ends publish a descriptor: the initiator's comes with its request, the target's is the answer.
@Suite("Segment descriptors as upstream publishes them")
struct RecordedSegmentTests {
  private static let names = ["metadata-request.frame", "metadata-reply.frame"]

  @Test("descriptors come out byte for byte as they went in", arguments: [Build.efa, .tcp], names)
  func roundTrip(build: Build, name: String) throws {
    let body = try Recorded(build, name).frame.body
    #expect(try SegmentDescriptor(decoding: body).encoded() == body)
  }

  @Test("what every descriptor says", arguments: Build.allCases, names)
  func commonFields(build: Build, name: String) throws {
    let recorded = try Recorded(build, name)
    let object = try recorded.object
    let descriptor = try SegmentDescriptor(decoding: recorded.frame.body)
    #expect(try descriptor.name == value("name", of: object))
    #expect(HostPort.parse(descriptor.name).value.host == "127.0.0.1")
    #expect(try descriptor.transport.description == value("protocol", of: object))
    #expect(try descriptor.tcpDataPort == value("tcp_data_port", of: object, as: Int.self))
    #expect(try descriptor.timestamp == value("timestamp", of: object))
    #expect(descriptor.timestamp?.utf8.count == "2026-01-01 00:00:00.000000".utf8.count)
    #expect(descriptor.rdmaServerName == nil)
    #expect(descriptor.nicPathServerName == descriptor.name)
    #expect(descriptor.incarnation == nil)

    let entries = try value("buffers", of: object, as: [[String: Any]].self)
    #expect(descriptor.buffers.count == 1 && entries.count == 1)
    for (buffer, entry) in zip(descriptor.buffers, entries) {
      #expect(try buffer.name == value("name", of: entry))
      #expect(try buffer.address == value("addr", of: entry, as: UInt64.self))
      #expect(try buffer.length == value("length", of: entry, as: UInt64.self))
      #expect(buffer.length == 1 << 20)
    }
  }

  @Test("what is particular to TCP", arguments: names)
  func tcp(name: String) throws {
    let recorded = try Recorded(.tcp, name)
    let object = try recorded.object
    let descriptor = try SegmentDescriptor(decoding: recorded.frame.body)
    #expect(descriptor.transport == .tcp)
    #expect(descriptor.tcpDataPort > 0)
    #expect(descriptor.tcpDataHost == "127.0.0.1")
    #expect(try descriptor.tcpDataHost == value("tcp_data_host", of: object))
    #expect(descriptor.tcpProtocolVersion == 2)
    #expect(try descriptor.tcpProtocolVersion == value("tcp_proto_version", of: object, as: Int.self))
    #expect(descriptor.devices.isEmpty && descriptor.priorityMatrix.isEmpty)
    let buffer = try #require(descriptor.buffers.first)
    #expect(buffer.name == descriptor.name)
    #expect(buffer.localKeys.isEmpty && buffer.remoteKeys.isEmpty)
  }

  @Test("what is not in an old one's descriptor has the value that it stands for", arguments: names)
  func oldTCP(name: String) throws {
    let recorded = try Recorded(.oldTCP, name)
    let object = try recorded.object
    let descriptor = try SegmentDescriptor(decoding: recorded.frame.body)
    #expect(Set(object.keys) == ["buffers", "name", "protocol", "tcp_data_port", "timestamp"])
    #expect(descriptor.transport == .tcp)
    #expect(descriptor.tcpProtocolVersion == 1)
    #expect(descriptor.tcpDataHost == nil)
    #expect(descriptor.buffers.first?.name == descriptor.name)
  }

  @Test("what is particular to EFA", arguments: names)
  func efa(name: String) throws {
    let recorded = try Recorded(.efa, name)
    let object = try recorded.object
    let descriptor = try SegmentDescriptor(decoding: recorded.frame.body)
    #expect(descriptor.transport == .efa)
    #expect(descriptor.tcpDataPort == 0)
    #expect(descriptor.tcpDataHost == nil)
    #expect(descriptor.tcpProtocolVersion == 1)
    #expect(try descriptor.tcpProtocolVersion == value("tcp_proto_version", of: object, as: Int.self))

    let devices = try value("devices", of: object, as: [[String: Any]].self)
    #expect(descriptor.devices.map(\.name) == ["rdmap0s0", "rdmap1s0"])
    for (device, entry) in zip(descriptor.devices, devices) {
      #expect(try device.name == value("name", of: entry))
      #expect(try device.gid == value("gid", of: entry))
      #expect(device.gid.utf8.count == 64)
      #expect(device.lid == 0)
      #expect(try device.lid == value("lid", of: entry, as: UInt32.self))
    }

    let entry = try #require(try value("buffers", of: object, as: [[String: Any]].self).first)
    let buffer = try #require(descriptor.buffers.first)
    #expect(buffer.name == "cpu:0")
    #expect(try buffer.localKeys == value("lkey", of: entry))
    #expect(try buffer.remoteKeys == value("rkey", of: entry))
    #expect(buffer.localKeys.count == 2 && buffer.remoteKeys.count == 2)
    #expect(descriptor.priorityMatrix == ["cpu:0": .init(preferred: ["rdmap0s0", "rdmap1s0"])])
    #expect(
      try value("priority_matrix", of: object, as: [String: [[String]]].self)
        == ["cpu:0": [["rdmap0s0", "rdmap1s0"], []]])
  }
}
