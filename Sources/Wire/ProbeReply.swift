/// The answer to a probe.
public struct ProbeReply: Equatable, Sendable {
  /// `success` from a healthy peer (`status`).
  public var status: String

  /// A reply of the given status.
  public init(status: String = "success") { self.status = status }

  /// The JSON body.
  public func encoded() -> [UInt8] {
    var writer = JSONWriter()
    writer.object { object in
      object.key("status")
      object.string(status)
    }
    return writer.finished()
  }

  /// Reads a body; a missing status is empty. Throws `malformedJSON` or `wrongType`.
  public init(decoding body: [UInt8]) throws(WireError) {
    if isNullJSON(body) {
      self.init(status: "")
    } else {
      self.init(status: try readJSON(Form.self, from: body, what: "the probe reply").status)
    }
  }

  private struct Form: Decodable {
    let status: String

    enum CodingKeys: String, CodingKey { case status }

    init(from decoder: any Decoder) throws {
      status = try decoder.container(keyedBy: CodingKeys.self).tolerantString(.status)
    }
  }
}
