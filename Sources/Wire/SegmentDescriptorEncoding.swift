extension SegmentDescriptor {
  /// The JSON text with its trailing newline, in the key set of the transport.
  public func encoded() -> [UInt8] { encoded([text(of: buffers)]) }

  /// The same with texts that ``text(of:)`` made in the place of ``buffers``: who publishes many buffers again and again
  /// writes each of them once.
  public func encoded(_ texts: [[UInt8]]) -> [UInt8] {
    var writer = JSONWriter(capacity: 4096 + texts.reduce(0) { $0 + $1.count + 1 })
    writer.object { object in
      object.key("buffers")
      object.array { for text in texts { $0.elements(text) } }
      if transport.hasDevices { writeDevices(to: &object) }
      if let host {
        object.key("moonrail_host")
        object.string(host)
      }
      if let incarnation {
        object.key("moonrail_incarnation")
        object.string(incarnation)
      }
      if let nicAddresses { object.addresses(nicAddresses) }
      object.key("name")
      object.string(name)
      if transport.hasDevices { writePriorities(to: &object) }
      object.key("protocol")
      object.string(transport.description)
      writeNetwork(to: &object)
      if let timestamp {
        object.key("timestamp")
        object.string(timestamp)
      }
    }
    return writer.finished()
  }

  /// A part of the JSON text: these buffers, as this descriptor would have them.
  public func text(of buffers: [Buffer]) -> [UInt8] {
    // A guess: twelve bytes for a key with its comma, as providers hand out small numbers.
    let keys = buffers.first.map { $0.localKeys.count + $0.remoteKeys.count } ?? 0
    var writer = JSONWriter(capacity: buffers.count * (96 + keys * 12))
    for buffer in buffers { buffer.write(to: &writer, withKeys: transport.hasDevices) }
    return writer.part()
  }

  private func writeDevices(to object: inout JSONWriter) {
    object.key("devices")
    object.array { list in
      for device in devices {
        list.object { entry in
          entry.key("gid")
          entry.string(device.gid)
          entry.key("lid")
          entry.integer(UInt64(device.lid))
          entry.key("name")
          entry.string(device.name)
        }
      }
    }
  }

  private func writePriorities(to object: inout JSONWriter) {
    object.key("priority_matrix")
    object.object { matrix in
      for (location, priority) in priorityMatrix.sorted(by: { inByteOrder($0.key, $1.key) }) {
        matrix.key(location)
        matrix.array { lists in
          lists.strings(priority.preferred)
          lists.strings(priority.others)
        }
      }
    }
  }

  private func writeNetwork(to object: inout JSONWriter) {
    let alternative = rdmaServerName ?? ""
    // TCP descriptors always carry this key, others only when it says something.
    if transport == .tcp || !alternative.isEmpty {
      object.key("rdma_server_name")
      object.string(alternative)
    }
    if let tcpDataHost {
      object.key("tcp_data_host")
      object.string(tcpDataHost)
    }
    object.key("tcp_data_port")
    object.integer(tcpDataPort)
    object.key("tcp_proto_version")
    object.integer(tcpProtocolVersion)
  }
}

extension SegmentDescriptor.Buffer {
  fileprivate func write(to list: inout JSONWriter, withKeys: Bool) {
    list.object { entry in
      entry.key("addr")
      entry.integer(address)
      entry.key("length")
      entry.integer(length)
      if withKeys {
        entry.key("lkey")
        entry.integers(localKeys)
      }
      entry.key("name")
      entry.string(name)
      if withKeys {
        entry.key("rkey")
        entry.integers(remoteKeys)
      }
    }
  }
}
