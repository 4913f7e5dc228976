/// Why a peer's metadata could not be had, or the daemon could not be started.
public struct MetadataError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The kind of failure. Open: a later version may add codes, so a `switch` needs a default.
  public struct Code: Hashable, Sendable {
    /// The code's stable name, as it appears in logs.
    public let name: String
    /// The number that the C and Python interfaces return for it, the same as in the original engine.
    public let number: Int

    /// A code of the given name and number.
    public init(name: String, number: Int) {
      self.name = name
      self.number = number
    }

    /// The peer's host name has no address of the family in use.
    public static let nameNotResolved = Code(name: "name-not-resolved", number: -101)
    /// No address of the peer accepted the connection.
    public static let connectFailed = Code(name: "connect-failed", number: -102)
    /// The peer did not connect or answer in time.
    public static let timedOut = Code(name: "timed-out", number: -102)
    /// The peer closed the connection without an answer.
    public static let closedWithoutReply = Code(name: "closed-without-reply", number: -102)
    /// The answer is of another type than the request, or no handshake frame.
    public static let unexpectedReply = Code(name: "unexpected-reply", number: -102)
    /// The answer is not JSON, or not of the types that the protocol says.
    public static let malformedReply = Code(name: "malformed-reply", number: -103)
    /// The peer gave a reason why it does not connect, or rejected a notification.
    public static let rejected = Code(name: "rejected", number: -200)
    /// The peer runs and has nothing to say yet: no transport is installed there.
    public static let notReady = Code(name: "not-ready", number: -200)
    /// The peer's descriptor breaks a rule of the protocol.
    public static let invalidDescriptor = Code(name: "invalid-descriptor", number: -200)
    /// A metadata store has nothing under the name.
    public static let notFound = Code(name: "not-found", number: -200)
    /// A metadata store cannot be reached, or is not ready.
    public static let storeUnavailable = Code(name: "store-unavailable", number: -200)
    /// A metadata store refuses what it was asked for.
    public static let storeRefused = Code(name: "store-refused", number: -200)
    /// A metadata store holds another value under a key and does not replace it.
    public static let keyExists = Code(name: "key-exists", number: -200)
    /// A metadata connection string that names no store.
    public static let invalidConnectionString = Code(name: "invalid-connection-string", number: -1)
    /// The daemon found no port to listen on.
    public static let noPort = Code(name: "no-port", number: -102)
    /// A blocking call was made on an event loop, which it would have blocked for ever.
    public static let onEventLoop = Code(name: "on-event-loop", number: -1)
    /// The event loops were shut down, or do not run.
    public static let stopped = Code(name: "stopped", number: -102)
  }

  /// The kind of failure.
  public let code: Code
  /// What happened, with the peer's address.
  public let message: String
  /// What to do about it.
  public let advice: String

  /// An error with its parts.
  public init(_ code: Code, _ message: String, advice: String) {
    self.code = code
    self.message = message
    self.advice = advice
  }

  /// The message, the code and the advice in one line.
  public var description: String { "\(message) [\(code.name)]: \(advice)" }
}
