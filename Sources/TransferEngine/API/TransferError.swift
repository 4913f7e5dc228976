/// Why the engine refused or could not do something, and what to do about it.
public struct TransferError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The kinds of errors, with the numbers that upstream's interfaces return (`Status::Code`).
  public struct Code: Hashable, Sendable {
    /// Upstream's number, positive.
    public let rawValue: Int32
    /// The code with this number.
    public init(rawValue: Int32) { self.rawValue = rawValue }

    /// An argument that no state of the engine makes right.
    public static let invalidArgument = Code(rawValue: 1)
    /// A batch would grow over its capacity, or the engine over its limit of outstanding requests.
    public static let tooManyRequests = Code(rawValue: 2)
    /// An address outside of every registered buffer.
    public static let addressNotRegistered = Code(rawValue: 3)
    /// The batch, or the memory, is still being transferred.
    public static let busy = Code(rawValue: 4)
    /// There is no NIC to do it with.
    public static let deviceNotFound = Code(rawValue: 6)
    /// The buffer overlaps one that is registered.
    public static let addressOverlapped = Code(rawValue: 7)
    /// No installed transport reaches the segment.
    public static let transportNotSupported = Code(rawValue: 8)
    /// A host name that does not resolve.
    public static let dns = Code(rawValue: 101)
    /// A connection that failed, was closed, or took too long.
    public static let socket = Code(rawValue: 102)
    /// A peer's JSON that is not what the protocol says.
    public static let malformedJSON = Code(rawValue: 103)
    /// The peer refused the handshake.
    public static let handshakeRejected = Code(rawValue: 104)
    /// The metadata of a segment could not be had.
    public static let metadata = Code(rawValue: 200)
    /// A peer's endpoint could not be reached.
    public static let endpoint = Code(rawValue: 201)
    /// A NIC could not be opened, or memory not be registered with it.
    public static let context = Code(rawValue: 202)
    /// Memory could not be had or inspected.
    public static let memory = Code(rawValue: 302)
    /// The peer is another process than the one whose memory was asked for.
    public static let peerRestarted = Code(rawValue: 203)
    /// The engine is shut down.
    public static let shutDown = Code(rawValue: 900)
  }

  /// The kind.
  public let code: Code
  /// What happened, to whom, and what to do next.
  public let message: String

  /// An error of kind `code` that reads `message`.
  public init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }

  /// The message, with the code.
  public var description: String { "\(message) [\(code.rawValue)]" }
}
