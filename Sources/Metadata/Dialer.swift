internal import NIOCore
internal import NIOPosix

/// Opens a connection to the first of a host's addresses that accepts one.
enum Dialer {
  /// Tries the addresses in order, each once. Each gets its share of the time left, so that one that swallows packets
  /// leaves time for the next.
  ///
  /// - Parameter failure: What it means that the last address to be tried was not connected to, within the deadline or
  ///   at all; no address: that there was none.
  static func connect(
    to addresses: ArraySlice<SocketAddress>, on loop: any EventLoop, deadline: NIODeadline,
    failure: @escaping @Sendable (Refusal) -> MetadataError
  ) -> EventLoopFuture<any Channel> {
    guard let address = addresses.first else { return loop.makeFailedFuture(failure(.noAddress)) }
    let left = max(deadline - .now(), .milliseconds(1))
    return ClientBootstrap(group: loop)
      .connectTimeout(.nanoseconds(max(left.nanoseconds / Int64(addresses.count), 1_000_000)))
      .connect(to: address)
      .flatMapError { error in
        let others = addresses.dropFirst()
        if !others.isEmpty, NIODeadline.now() < deadline {
          return connect(to: others, on: loop, deadline: deadline, failure: failure)
        }
        if case ChannelError.connectTimeout = error { return loop.makeFailedFuture(failure(.silence(address))) }
        return loop.makeFailedFuture(failure(.error(error, address)))
      }
  }

  /// Why there is no connection.
  enum Refusal {
    /// There is no address to try.
    case noAddress
    /// Nobody answers at this address.
    case silence(SocketAddress)
    /// Connecting to this address ended with an error.
    case error(any Error, SocketAddress)
  }
}
