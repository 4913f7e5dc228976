internal import CPython
internal import DropIn
internal import Topology
internal import TransferEngine

/// What this host has, and what peers are and say.
extension TransferEngineType {
  static var peers: [Method] {
    [
      Method(
        "get_local_topology",
        "get_local_topology(device_name=None)\n--\n\nThe host's NICs and which memory they are near, as JSON."
      ) { this, arguments, count, keywords in
        TransferEngineType.topologyParameters.bind(arguments, count, keywords) { arguments throws(PythonException) in
          let filter = try textOrNone(arguments[0], "device_name")
          return pythonText(withoutInterpreter { LocalTopology.discover(deviceFilter: filter).json(styled: true) })
        }
      },
      Method(
        "get_first_buffer_address",
        "get_first_buffer_address(segment_name, /)\n--\n\nThe address of the peer's first registered buffer; 0 if none."
      ) { this, arguments, count, keywords in
        TransferEngineType.firstParameters.bind(arguments, count, keywords) { arguments throws(PythonException) in
          let name = try text(try arguments[required: 0], "segment_name")
          let state = try payload(this, as: EngineState.self)
          guard let engine = state.engine(for: TransferEngineType.firstParameters.method) else { return pythonInt(0) }
          var address: UInt64 = 0
          withoutInterpreter {
            _ = engine.code(TransferEngineType.firstParameters.method) { () throws(TransferError) in
              address = try engine.firstBufferAddress(of: name)
              return 0
            }
          }
          return pythonInt(address)
        }
      },
      Method(
        "warmup_efa_segment",
        "warmup_efa_segment(segment_name)\n--\n\nConnects to a peer's NICs, before a transfer has to. 0, or a code."
      ) { this, arguments, count, keywords in
        TransferEngineType.warmupParameters.bind(arguments, count, keywords) { arguments throws(PythonException) in
          let name = try text(try arguments[required: 0], "segment_name")
          return try TransferEngineType.code(this, TransferEngineType.warmupParameters.method) {
            engine throws(TransferError) in
            let engine = try engine.engine
            // Over TCP there is nothing to connect, and upstream does not even look whether the peer is there.
            guard !engine.nics.isEmpty else { return 0 }
            try engine.warmup(segment: name)
            return 0
          }
        }
      },
      Method(
        "send_probe",
        "send_probe(peer_server_name)\n--\n\nWhether a peer is there: 0, -101 (its name is unknown), -102 (no answer)."
      ) { this, arguments, count, keywords in
        TransferEngineType.probeParameters.bind(arguments, count, keywords) { arguments throws(PythonException) in
          let name = try text(try arguments[required: 0], "peer_server_name")
          return try TransferEngineType.code(this, TransferEngineType.probeParameters.method) {
            engine throws(TransferError) in
            try engine.engine.probe(name)
            return 0
          }
        }
      },
      Method("get_notifies", "get_notifies()\n--\n\nTakes the notifications that have arrived.") {
        TransferEngineType.noParameters("get_notifies", $0, $1, $2, $3) { state throws(PythonException) in
          var messages: [NotificationMessage] = []
          if let engine = state.engine(for: "get_notifies") {
            _ = engine.code("get_notifies") { () throws(TransferError) in
              messages = try engine.engine.takeNotifications()
              return 0
            }
          }
          return try pythonList(messages) { message throws(PythonException) in try NotifyType.instance(message) }
        }
      },
    ]
  }

  private static let topologyParameters = Parameters("get_local_topology", ["device_name"], required: 0)
  private static let firstParameters = Parameters("get_first_buffer_address", count: 1)
  private static let warmupParameters = Parameters("warmup_efa_segment", ["segment_name"])
  private static let probeParameters = Parameters("send_probe", ["peer_server_name"])
}
