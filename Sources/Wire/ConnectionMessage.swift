/// The handshake that connects NICs: request and reply have the same form.
///
/// The first eight keys are what every peer knows; those that begin with `moonrail_` are optional extensions that other
/// peers ignore, written only when set.
public struct ConnectionMessage: Equatable, Sendable {
  /// The sender's fabric address, as the provider gives it (`efa_addr`, hexadecimal in JSON). Empty from a peer without
  /// a fabric, and in a refusal.
  public var efaAddress: [UInt8]
  /// The sender's NIC, `server@device` (`local_nic_path`).
  public var localNICPath: String
  /// The NIC that the sender wants to reach, `server@device` (`peer_nic_path`).
  public var peerNICPath: String
  /// The InfiniBand LID; 0 where there is none (`local_lid`).
  public var localLID: UInt32
  /// The InfiniBand GID; empty where there is none (`local_gid`).
  public var localGID: String
  /// InfiniBand queue pair numbers; empty where there are none (`qp_num`).
  public var queuePairNumbers: [UInt32]
  /// Bytes of other transports as text; empty here (`payload`).
  public var payload: String
  /// Why the request is refused; empty when it is not (`reply_msg`).
  public var replyMessage: String
  /// The fabric addresses of all NICs of the sender by device name (`moonrail_nics`); `nil` from other peers.
  public var nicAddresses: [String: [UInt8]]?
  /// Tells one run of a server from the next under the same name (`moonrail_incarnation`); `nil` from other peers.
  public var incarnation: String?

  /// A message; what is not given is empty.
  public init(
    efaAddress: [UInt8] = [], localNICPath: String = "", peerNICPath: String = "", localLID: UInt32 = 0,
    localGID: String = "", queuePairNumbers: [UInt32] = [], payload: String = "", replyMessage: String = "",
    nicAddresses: [String: [UInt8]]? = nil, incarnation: String? = nil
  ) {
    self.efaAddress = efaAddress
    self.localNICPath = localNICPath
    self.peerNICPath = peerNICPath
    self.localLID = localLID
    self.localGID = localGID
    self.queuePairNumbers = queuePairNumbers
    self.payload = payload
    self.replyMessage = replyMessage
    self.nicAddresses = nicAddresses
    self.incarnation = incarnation
  }

  /// A reply that refuses, with the reason that the other side will show to its user.
  public static func refusal(_ reason: String) -> ConnectionMessage { ConnectionMessage(replyMessage: reason) }

  /// The JSON body. `includingEFAAddress: false` leaves `efa_addr` out, as peers without a fabric do.
  public func encoded(includingEFAAddress: Bool = true) -> [UInt8] {
    var writer = JSONWriter()
    writer.object { object in
      if includingEFAAddress {
        object.key("efa_addr")
        object.string(Hexadecimal.encode(efaAddress))
      }
      object.key("local_gid")
      object.string(localGID)
      object.key("local_lid")
      object.integer(UInt64(localLID))
      object.key("local_nic_path")
      object.string(localNICPath)
      writeExtensions(to: &object)
      object.key("payload")
      object.string(payload)
      object.key("peer_nic_path")
      object.string(peerNICPath)
      object.key("qp_num")
      object.integers(queuePairNumbers.map(UInt64.init))
      object.key("reply_msg")
      object.string(replyMessage)
    }
    return writer.finished()
  }

  private func writeExtensions(to object: inout JSONWriter) {
    if let incarnation {
      object.key("moonrail_incarnation")
      object.string(incarnation)
    }
    if let nicAddresses { object.addresses(nicAddresses) }
  }

  /// Reads a body. Missing keys and `null`, also as the whole body, are empty; unknown keys are ignored; scalars are
  /// taken for strings. Throws `malformedJSON`, `wrongType` or `badHexadecimal`.
  public init(decoding body: [UInt8]) throws(WireError) {
    if isNullJSON(body) {
      self.init()
    } else {
      self = try readJSON(Form.self, from: body, what: "the connection message").message
    }
  }

  /// Keeps `Decodable` out of the public type.
  private struct Form: Decodable {
    let message: ConnectionMessage

    enum CodingKeys: String, CodingKey {
      case efaAddress = "efa_addr"
      case localGID = "local_gid"
      case localLID = "local_lid"
      case localNICPath = "local_nic_path"
      case incarnation = "moonrail_incarnation"
      case nicAddresses = "moonrail_nics"
      case payload
      case peerNICPath = "peer_nic_path"
      case queuePairNumbers = "qp_num"
      case replyMessage = "reply_msg"
    }

    init(from decoder: any Decoder) throws {
      let values = try decoder.container(keyedBy: CodingKeys.self)
      message = ConnectionMessage(
        efaAddress: try Hexadecimal.decode(values.tolerantString(.efaAddress), field: "efa_addr"),
        localNICPath: try values.tolerantString(.localNICPath),
        peerNICPath: try values.tolerantString(.peerNICPath),
        // These two are guarded by every peer: a wrong type is as good as none.
        localLID: (try? values.decode(UInt32.self, forKey: .localLID)) ?? 0,
        localGID: (try? values.decode(String.self, forKey: .localGID)) ?? "",
        queuePairNumbers: try values.tolerantNumbers(.queuePairNumbers),
        payload: try values.tolerantString(.payload),
        replyMessage: try values.tolerantString(.replyMessage),
        nicAddresses: try values.addresses(.nicAddresses),
        incarnation: try values.decodeIfPresent(String.self, forKey: .incarnation))
    }
  }
}
