/// What an engine says of itself when it asks another for its segment descriptor.
///
/// Nobody has to say anything: the original engine sends all of its own descriptor, from which the two keys here are taken
/// if they are there, and looks at nothing of what it gets.
public struct DescriptorRequest: Equatable, Sendable {
  /// The sender's server name (`name`); empty if it does not say.
  public var server: String
  /// Tells one run of the sender from the next under the same name (`moonrail_incarnation`); empty from other peers.
  public var incarnation: String

  /// A request; what is not given is not said.
  public init(server: String = "", incarnation: String = "") {
    self.server = server
    self.incarnation = incarnation
  }

  /// The JSON body.
  public func encoded() -> [UInt8] {
    var writer = JSONWriter()
    writer.object { object in
      if !incarnation.isEmpty {
        object.key("moonrail_incarnation")
        object.string(incarnation)
      }
      if !server.isEmpty {
        object.key("name")
        object.string(server)
      }
    }
    return writer.finished()
  }

  /// Reads a body, of which anything is taken that is JSON: what is of another type is as good as missing. Throws
  /// `malformedJSON`.
  public init(decoding body: [UInt8]) throws(WireError) {
    self = try readJSON(Form.self, from: body, what: "the request").request
  }

  private struct Form: Decodable {
    let request: DescriptorRequest

    enum CodingKeys: String, CodingKey {
      case incarnation = "moonrail_incarnation"
      case server = "name"
    }

    init(from decoder: any Decoder) throws {
      let values = try? decoder.container(keyedBy: CodingKeys.self)
      func text(_ key: CodingKeys) -> String { (try? values?.decode(String.self, forKey: key)) ?? "" }
      request = DescriptorRequest(server: text(.server), incarnation: text(.incarnation))
    }
  }
}
