extension SegmentDescriptor {
  /// The JSON text with its trailing newline, in the key set of the transport.
  public func encoded() -> [UInt8] {
    // A guess: twelve bytes for a key with its comma, as providers hand out small numbers.
    let keys = buffers.first.map { $0.localKeys.count + $0.remoteKeys.count } ?? 0
    var writer = JSONWriter(capacity: 512 + buffers.count * (96 + keys * 12))
    writer.object { object in
      object.key("buffers")
      object.array { for buffer in buffers { buffer.write(to: &$0, withKeys: transport.hasDevices) } }
      if transport.hasDevices { writeDevices(to: &object) }
      if let host {
        object.key("moonrail_host")
        object.string(host)
      }
      if let incarnation {
        object.key("moonrail_incarnation")
        object.string(incarnation)
      }
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
