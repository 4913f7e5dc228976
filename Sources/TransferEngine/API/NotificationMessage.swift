/// A message from one engine to another beside the data: a name and a text, both UTF-8.
public struct NotificationMessage: Equatable, Sendable {
  /// Who or what it is about; by custom the sender's name.
  public var name: String
  /// The text.
  public var message: String

  /// A notification under `name` that reads `message`.
  public init(name: String, message: String) {
    self.name = name
    self.message = message
  }
}
