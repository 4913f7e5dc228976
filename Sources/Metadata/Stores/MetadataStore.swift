public import NIOCore

/// A service that holds values under keys, where engines leave what their peers need to find them.
///
/// Futures end by their deadline, and fail with nothing but a `MetadataError`. A store that cannot be reached is tried
/// again a few times before the deadline, and anew with the next call: it may come and go while an engine runs.
public protocol MetadataStore: Sendable {
  /// How log lines and errors call it: the scheme and the addresses, never a password.
  var address: String { get }
  /// The longest that one operation may take.
  var timeout: Duration { get }
  /// Whether peers end values in this store with a newline.
  var valuesEndInNewline: Bool { get }

  /// Sets the value of a key. Fails with `keyExists` where the store holds another and keeps that.
  func put(_ key: String, _ value: [UInt8], deadline: NIODeadline) -> EventLoopFuture<Void>
  /// The value of a key, or nil.
  func get(_ key: String, deadline: NIODeadline) -> EventLoopFuture<[UInt8]?>
  /// Removes a key; whether there was one.
  func remove(_ key: String, deadline: NIODeadline) -> EventLoopFuture<Bool>
  /// Closes what is open. The store is not used afterwards.
  func close()
}

/// What all stores hold to.
enum StoreLimits {
  /// The longest value that is read: the longest frame that a peer may be allowed to send.
  static let maximumValueLength = HandshakeOptions.largestMaximumFrameLength
}
