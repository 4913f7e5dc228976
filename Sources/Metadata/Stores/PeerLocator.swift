public import NIOCore
public import Wire

/// Knows where the engine of a name is, where the name itself does not say so.
public protocol PeerLocator: Sendable {
  /// The longest that ``location(of:fresh:on:)`` may take.
  var timeout: Duration { get }

  /// Where `server` is. `fresh`: asked for now, whatever is remembered.
  func location(of server: String, fresh: Bool, on loop: any EventLoop) -> EventLoopFuture<HostPort>

  /// What is remembered of `server` did not hold.
  func forget(_ server: String)
}
