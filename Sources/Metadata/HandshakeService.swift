public import Wire

/// What the daemon asks its engine. Called on an event loop, from several at once: it must not block, and must not wait
/// for a lock that is held over a request to a peer, or two engines that connect to each other wait for ever.
public protocol HandshakeService: AnyObject, Sendable {
  /// Answers a peer that wants to connect; a refusal has a reply message.
  func connection(_ request: ConnectionMessage) -> ConnectionMessage

  /// The segment descriptor for the sender of `request`, as JSON text with its newline; `nil` while there is none, which
  /// peers see as `null`.
  func segmentDescriptor(for request: DescriptorRequest) -> [UInt8]?

  /// Takes a notification; `NotifyMessage.accepted` or `.rejected`.
  func notification(_ message: NotifyMessage) -> NotifyMessage
}
