internal import Wire

/// Who this engine is to its peers: its name and the addresses of its NICs.
struct LocalIdentity: Sendable {
  /// `host:port`.
  let name: String
  /// The devices, in the order of the rails.
  let devices: [String]
  /// Their endpoints' addresses.
  let addresses: [[UInt8]]
  /// Tells this run of the engine from others under the same name.
  let incarnation: String

  /// All addresses by device, as one handshake carries them.
  var allAddresses: [String: [UInt8]] {
    Dictionary(zip(devices, addresses), uniquingKeysWith: { first, _ in first })
  }

  /// The request to connect rail `rail` with the peer's NIC at `path`.
  func request(from rail: Int, to path: NICPath) -> ConnectionMessage {
    var message = ConnectionMessage()
    message.efaAddress = addresses[rail]
    message.localNICPath = NICPath(server: name, device: devices[rail]).description
    message.peerNICPath = path.description
    message.nicAddresses = allAddresses
    message.incarnation = incarnation
    return message
  }
}
