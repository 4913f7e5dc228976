extension SegmentDescriptor {
  /// Reads JSON text and applies the rules that peers rely on.
  ///
  /// Of a transport that is not served here and has a form of its own, only the common fields are read. Throws
  /// `malformedJSON`, `wrongType`, `missingValue` (an empty name, a buffer without address or length), `keyCount` or
  /// `unknownProtocol`; the whole descriptor is then of no use.
  public init(decoding body: [UInt8]) throws(WireError) {
    self = try readJSON(DescriptorForm.self, from: body, what: "the segment descriptor").descriptor
    try validate()
  }

  private func validate() throws(WireError) {
    try require(!name.isEmpty, "the segment's name is empty")
    for (index, device) in devices.enumerated() {
      try require(!device.name.isEmpty, "devices[\(index)] has no name")
      try require(!device.gid.isEmpty, "devices[\(index)] has no gid")
    }
    for (index, buffer) in buffers.enumerated() {
      try require(!buffer.name.isEmpty, "buffers[\(index)] has no name")
      try require(buffer.address != 0, "buffers[\(index)] has address 0")
      try require(buffer.length != 0, "buffers[\(index)] has length 0")
      try checkKeys(of: buffer, at: index)
    }
  }

  private func require(_ condition: Bool, _ message: @autoclosure () -> String) throws(WireError) {
    guard !condition else { return }
    throw WireError(
      .missingValue, "the segment descriptor: \(message())",
      advice: "the peer publishes a broken descriptor; restart it, or remove it from the metadata store")
  }

  private func checkKeys(of buffer: Buffer, at index: Int) throws(WireError) {
    guard transport.hasDevices, !buffer.remoteKeys.isEmpty else { return }
    let counts = (local: buffer.localKeys.count, remote: buffer.remoteKeys.count)
    // One transport publishes keys that belong to no device.
    let matchesDevices = counts.remote == devices.count || transport == .other("barex")
    guard counts.local == counts.remote, matchesDevices else {
      throw WireError(
        .keyCount,
        "the segment descriptor: buffers[\(index)] has \(counts.remote) remote and \(counts.local) local keys"
          + " for \(devices.count) devices",
        advice: "the peer publishes a broken descriptor; restart it, and compare versions if it stays")
    }
  }
}

/// Keeps `Decodable` out of the public type. Every value is decoded once, as what it has to be.
private struct DescriptorForm: Decodable {
  let descriptor: SegmentDescriptor

  enum CodingKeys: String, CodingKey {
    case buffers
    case devices
    case host = "moonrail_host"
    case incarnation = "moonrail_incarnation"
    case name
    case nicAddresses = "moonrail_nics"
    case priorityMatrix = "priority_matrix"
    case transport = "protocol"
    case rdmaServerName = "rdma_server_name"
    case tcpDataHost = "tcp_data_host"
    case tcpDataPort = "tcp_data_port"
    case tcpProtocolVersion = "tcp_proto_version"
    case timestamp
  }

  init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    let transportName = try values.decodeIfPresent(String.self, forKey: .transport) ?? ""
    guard let transport = SegmentProtocol(name: transportName) else {
      throw WireError(
        .unknownProtocol, "the segment descriptor names a protocol that is not known",
        advice: "the peer is of a newer version or another kind; a segment is usually tcp or efa")
    }
    var descriptor = SegmentDescriptor(
      name: try values.decodeIfPresent(String.self, forKey: .name) ?? "", transport: transport,
      tcpDataPort: try values.decodeIfPresent(Int.self, forKey: .tcpDataPort) ?? 0,
      tcpDataHost: try values.nonEmpty(.tcpDataHost),
      tcpProtocolVersion: try values.decodeIfPresent(Int.self, forKey: .tcpProtocolVersion) ?? 1,
      timestamp: try values.decodeIfPresent(String.self, forKey: .timestamp),
      rdmaServerName: try values.nonEmpty(.rdmaServerName),
      incarnation: try values.decodeIfPresent(String.self, forKey: .incarnation),
      host: try values.nonEmpty(.host), nicAddresses: try values.addresses(.nicAddresses))
    if transport.hasDevices {
      descriptor.devices = try values.decodeIfPresent([DeviceForm].self, forKey: .devices)?.map(\.device) ?? []
      // Peers keep a descriptor whose matrix is missing or broken, so it must not cost the segment here.
      let matrix = try? values.decodeIfPresent([String: PriorityForm].self, forKey: .priorityMatrix)
      descriptor.priorityMatrix = matrix?.mapValues(\.priority) ?? [:]
    }
    if transport.hasDevices {
      descriptor.buffers = try values.decodeIfPresent([BufferForm].self, forKey: .buffers)?.map(\.buffer) ?? []
    } else if transport == .tcp {
      descriptor.buffers = try values.decodeIfPresent([RangeForm].self, forKey: .buffers)?.map(\.buffer) ?? []
    }
    self.descriptor = descriptor
  }
}

extension KeyedDecodingContainer {
  /// A string that says the same when it is empty as when it is missing.
  fileprivate func nonEmpty(_ key: Key) throws -> String? {
    let text = try decodeIfPresent(String.self, forKey: key)
    return text?.isEmpty == true ? nil : text
  }
}

private struct DeviceForm: Decodable {
  let device: SegmentDescriptor.Device

  enum CodingKeys: String, CodingKey {
    case name
    case lid
    case gid
  }

  init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    device = SegmentDescriptor.Device(
      name: try values.decodeIfPresent(String.self, forKey: .name) ?? "",
      lid: try values.decodeIfPresent(UInt32.self, forKey: .lid) ?? 0,
      gid: try values.decodeIfPresent(String.self, forKey: .gid) ?? "")
  }
}

private enum BufferKeys: String, CodingKey {
  case name
  case address = "addr"
  case length
  case localKeys = "lkey"
  case remoteKeys = "rkey"
}

/// A buffer without keys, as TCP has it.
private struct RangeForm: Decodable {
  let buffer: SegmentDescriptor.Buffer

  init(from decoder: any Decoder) throws {
    buffer = try SegmentDescriptor.Buffer(decoder.container(keyedBy: BufferKeys.self))
  }
}

/// A buffer with keys.
private struct BufferForm: Decodable {
  let buffer: SegmentDescriptor.Buffer

  init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: BufferKeys.self)
    var buffer = try SegmentDescriptor.Buffer(values)
    buffer.localKeys = try values.decodeIfPresent(KeyList.self, forKey: .localKeys)?.keys ?? []
    buffer.remoteKeys = try values.decodeIfPresent(KeyList.self, forKey: .remoteKeys)?.keys ?? []
    self.buffer = buffer
  }
}

extension SegmentDescriptor.Buffer {
  /// Without keys.
  fileprivate init(_ values: KeyedDecodingContainer<BufferKeys>) throws {
    self.init(
      name: try values.decodeIfPresent(String.self, forKey: .name) ?? "",
      address: try values.decodeIfPresent(UInt64.self, forKey: .address) ?? 0,
      length: try values.decodeIfPresent(UInt64.self, forKey: .length) ?? 0)
  }
}

/// A list of numbers. The library's own makes a decoder for each element, and a server with many buffers on many NICs
/// has hundreds of thousands.
private struct KeyList: Decodable {
  let keys: [UInt64]

  init(from decoder: any Decoder) throws {
    var list = try decoder.unkeyedContainer()
    var keys: [UInt64] = []
    keys.reserveCapacity(list.count ?? 0)
    while !list.isAtEnd { keys.append(try list.decode(UInt64.self)) }
    self.keys = keys
  }
}

/// Exactly two lists: the preferred NICs and the others.
private struct PriorityForm: Decodable {
  let priority: SegmentDescriptor.Priority

  init(from decoder: any Decoder) throws {
    let lists = try [[String]](from: decoder)
    guard lists.count == 2 else {
      throw WireError(
        .wrongType, "an entry of priority_matrix has \(lists.count) lists", advice: "an entry has two lists of NICs")
    }
    priority = SegmentDescriptor.Priority(preferred: lists[0], others: lists[1])
  }
}
