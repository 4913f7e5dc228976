public import Logging
public import Topology

/// Moves memory between this host and its peers.
///
/// One engine has a name (`host:port`), answers its peers' handshakes under it, registers memory, opens the segments of
/// peers, and moves batches of requests between the two. All methods may be called from any thread. Those that talk to
/// a peer or register memory block, each with a deadline; none may be called on a Swift concurrency executor (the
/// module `Moonrail` has `async` forms).
public final class TransferEngine: Sendable {
  /// Starts the handshake daemon and installs the transports of `configuration`.
  public init(_ configuration: Configuration, logger: Logger = Logger(label: "moonrail")) throws(TransferError) {
    throw TransferError(.context, "not built yet")
  }

  /// The name under which peers open this engine's segment, `host:port`.
  public var name: String { fatalError() }
  /// The port of the handshake daemon.
  public var rpcPort: UInt16 { fatalError() }
  /// The host as discovered: which NICs are near which memory.
  public var topology: Topology { fatalError() }
  /// The NICs in use, in the order of their keys in the segment descriptor, with what they have done so far.
  public var nics: [NICDescription] { fatalError() }
  /// One line about the fabric library in use: version and file. nil where no fabric transport is installed.
  public var fabricLibrary: String? { fatalError() }

  /// Stops everything: transfers in flight fail, memory is unregistered, NICs and the daemon are closed. Idempotent.
  public func shutdown() {}

  /// Registers `length` bytes at `address` for local use and for peers.
  public func register(_ address: UnsafeMutableRawPointer, length: Int, location: String = "*") throws(TransferError) {}
  /// Registers several buffers; all or none.
  public func register(_ buffers: [BufferEntry], location: String = "*") throws(TransferError) {}
  /// Withdraws the buffer that was registered at `address`.
  public func unregister(_ address: UnsafeMutableRawPointer) throws(TransferError) {}
  /// Withdraws several buffers; attempts all and throws the first error.
  public func unregister(_ addresses: [UnsafeMutableRawPointer]) throws(TransferError) {}

  /// Opens the segment of the engine named `name`.
  public func openSegment(_ name: String) throws(TransferError) -> SegmentID { fatalError() }
  /// Forgets a segment.
  public func closeSegment(_ segment: SegmentID) throws(TransferError) {}
  /// What the segment's owner published.
  public func describe(_ segment: SegmentID) throws(TransferError) -> SegmentDescription { fatalError() }
  /// Connects every local NIC to the segment's, so that the first transfer does not have to.
  @discardableResult
  public func warmup(segment name: String) throws(TransferError) -> WarmupReport { fatalError() }

  /// Makes room for up to `capacity` requests.
  public func allocateBatch(capacity: Int) throws(TransferError) -> BatchID { fatalError() }
  /// Starts `requests`; `notification` goes to the first request's target once the whole batch is complete.
  public func submit(
    _ requests: [TransferRequest], to batch: BatchID, notification: NotificationMessage? = nil
  ) throws(TransferError) {}
  /// Starts `requests`, which are read before the call returns.
  public func submit(
    _ requests: UnsafeBufferPointer<TransferRequest>, to batch: BatchID, notification: NotificationMessage? = nil
  ) throws(TransferError) {}
  /// How the batch stands. Never blocks; moves the fabric on while it looks.
  public func status(of batch: BatchID) throws(TransferError) -> TransferStatus { fatalError() }
  /// How the request that was submitted as number `task` (from 0) stands.
  public func status(of batch: BatchID, task: Int) throws(TransferError) -> TransferStatus { fatalError() }
  /// Waits until the batch is done or `timeout` has passed; the status then still says `waiting`.
  public func wait(for batch: BatchID, timeout: Duration) throws(TransferError) -> TransferStatus { fatalError() }
  /// Gives back a batch that is done.
  public func freeBatch(_ batch: BatchID) throws(TransferError) {}

  /// Takes all notifications that have arrived.
  public func takeNotifications() -> [NotificationMessage] { [] }
  /// Sends a notification to the engine named `name`.
  public func notify(_ name: String, _ message: NotificationMessage) throws(TransferError) {}
  /// Asks the engine named `name` whether it is alive.
  public func probe(_ name: String) throws(TransferError) {}
}
