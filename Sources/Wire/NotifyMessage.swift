/// A notification and its reply: a name and a text.
public struct NotifyMessage: Equatable, Sendable {
  /// The notification's name, chosen by the application; empty in a reply (`name`).
  public var name: String
  /// The text; in a reply `success`, or empty for a rejection (`notify_msg`).
  public var message: String

  /// A notification of the given name and text.
  public init(name: String = "", message: String = "") {
    self.name = name
    self.message = message
  }

  /// The reply that accepts a notification.
  public static let accepted = NotifyMessage(message: "success")
  /// The reply that rejects a notification.
  public static let rejected = NotifyMessage()

  /// The JSON body.
  public func encoded() -> [UInt8] {
    var writer = JSONWriter()
    writer.object { object in
      object.key("name")
      object.string(name)
      object.key("notify_msg")
      object.string(message)
    }
    return writer.finished()
  }

  /// Reads a body with the same tolerance as `ConnectionMessage`. Throws `malformedJSON` or `wrongType`.
  public init(decoding body: [UInt8]) throws(WireError) {
    if isNullJSON(body) {
      self.init()
    } else {
      self = try readJSON(Form.self, from: body, what: "the notification").message
    }
  }

  private struct Form: Decodable {
    let message: NotifyMessage

    enum CodingKeys: String, CodingKey {
      case name
      case message = "notify_msg"
    }

    init(from decoder: any Decoder) throws {
      let values = try decoder.container(keyedBy: CodingKeys.self)
      message = NotifyMessage(
        name: try values.tolerantString(.name), message: try values.tolerantString(.message))
    }
  }
}
