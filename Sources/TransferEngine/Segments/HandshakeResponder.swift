internal import Logging
internal import Metadata
internal import Synchronization
internal import Wire

/// Answers the peers: who we are, what is registered, and what they want to tell. Everything is known beforehand, so
/// that no answer waits for anything, least of all for a peer that is being asked at the same moment.
final class HandshakeResponder: HandshakeService {
  private struct State {
    var identity: LocalIdentity?
    var descriptor: (@Sendable () -> [UInt8])?
    var contact: (@Sendable (String, String) -> Void)?
  }

  private let state = Mutex(State())
  private let inbox: Inbox

  init(inbox: Inbox) { self.inbox = inbox }

  /// From now on the engine can be connected to.
  ///
  /// - Parameters:
  ///   - descriptor: The segment descriptor at the moment of the call, as JSON.
  ///   - contact: Called with the name and the incarnation of a peer that has connected, or is about to. Must not block.
  func publish(
    _ identity: LocalIdentity, descriptor: @escaping @Sendable () -> [UInt8],
    contact: @escaping @Sendable (_ server: String, _ incarnation: String) -> Void
  ) {
    state.withLock { $0 = State(identity: identity, descriptor: descriptor, contact: contact) }
  }

  /// From now on it cannot.
  func withdraw() { state.withLock { $0 = State() } }

  func connection(_ request: ConnectionMessage) -> ConnectionMessage {
    let current = state.withLock { $0 }
    var reply = ConnectionMessage()
    func refuse(_ reason: String) -> ConnectionMessage {
      reply.replyMessage = reason
      return reply
    }
    // The texts are upstream's: its users search for them.
    guard let identity = current.identity, let path = NICPath(request.peerNICPath) else {
      return refuse("Handshake callback failed: -1")
    }
    guard path.server == identity.name else { return refuse("EFA nic path inconsistency") }
    guard let index = identity.devices.firstIndex(of: path.device) else {
      return refuse("Handshake callback failed: -1")
    }
    guard !request.efaAddress.isEmpty else { return refuse("No EFA address provided") }
    reply.efaAddress = identity.addresses[index]
    reply.localNICPath = path.description
    reply.peerNICPath = request.localNICPath
    if request.nicAddresses != nil { reply.nicAddresses = identity.allAddresses }
    // Peers that do not know the key ignore it.
    reply.incarnation = identity.incarnation
    current.contact?(NICPath(request.localNICPath)?.server ?? "", request.incarnation ?? "")
    return reply
  }

  func segmentDescriptor(for request: DescriptorRequest) -> [UInt8]? {
    let current = state.withLock { $0 }
    // With the descriptor it gets the addresses, and need not ask again before it connects.
    if !request.incarnation.isEmpty { current.contact?(request.server, request.incarnation) }
    return current.descriptor?()
  }

  func notification(_ message: NotifyMessage) -> NotifyMessage {
    let accepted = inbox.append(NotificationMessage(name: message.name, message: message.message))
    return NotifyMessage(name: "", message: accepted ? "success" : "")
  }
}

/// Notifications that have arrived and were not taken yet.
final class Inbox: Sendable {
  /// More than this many are refused, so that nobody fills our memory: the sender learns of it.
  static let limit = 65_536

  private let messages = Mutex<[NotificationMessage]>([])

  /// Whether there was room.
  func append(_ message: NotificationMessage) -> Bool {
    messages.withLock { messages in
      guard messages.count < Self.limit else { return false }
      messages.append(message)
      return true
    }
  }

  /// Takes all.
  func take() -> [NotificationMessage] {
    messages.withLock { messages in
      defer { messages = [] }
      return messages
    }
  }
}
