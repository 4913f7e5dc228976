internal import Logging
internal import Metadata
internal import Synchronization
internal import Wire

/// Transfers over plain TCP: the peers that we reach, and the listener by which they reach us.
final class TCPTransport: Sendable {
  private struct Key: Hashable {
    let host: String
    let port: UInt16
    let version: Int
    let incarnation: String?
  }
  private struct State {
    var peers: [Key: TCPPeer] = [:]
    var isClosed = false
  }

  /// The listener; nil where there is none.
  let server: TCPServer?
  /// What this engine has asked peers for.
  let traffic = Traffic()
  private let options: TCPOptions
  private let state = Mutex(State())
  private let logger: Logger

  /// Peers that are known before those that nobody uses are forgotten.
  private static let peerLimit = 1024
  /// Lanes may take this long to end, in nanoseconds.
  private static let patience: UInt64 = 5_000_000_000

  init(_ options: TCPOptions, server: TCPServer?, logger: Logger) {
    self.options = options
    self.server = server
    self.logger = logger
  }

  /// What was moved so far.
  var statistics: TCPStatistics {
    TCPStatistics(initiated: traffic.counts, served: server?.served ?? TCPStatistics.Counts())
  }

  /// The way to the engine that published `descriptor`.
  ///
  /// - Parameter inquiry: Asks what has become of the engine, once it is in doubt.
  func peer(
    of descriptor: SegmentDescriptor, inquiry: @escaping TCPPeer.Inquiry
  ) throws(TransferError) -> TCPPeer {
    guard let port = UInt16(exactly: descriptor.tcpDataPort), port > 0 else {
      throw TransferError(
        .metadata,
        "\(descriptor.name) publishes the TCP data port \(descriptor.tcpDataPort), which is none. Restart it.")
    }
    let host = HostPort.parse(descriptor.tcpDataHost ?? descriptor.name).value.host
    let version = descriptor.tcpProtocolVersion >= 2 && !options.usesVersion1 ? 2 : 1
    let key = Key(host: host, port: port, version: version, incarnation: descriptor.incarnation)
    return try state.withLock { state throws(TransferError) in
      guard !state.isClosed else { throw TransferError(.shutDown, "The engine is shut down. Create a new one.") }
      if let known = state.peers[key] { return known }
      if state.peers.count >= Self.peerLimit {
        // Only what no segment, no caller and no lane holds: whatever works has to be found when the engine ends.
        for key in Array(state.peers.keys) where isKnownUniquelyReferenced(&state.peers[key]) {
          state.peers[key] = nil
        }
      }
      let peer = TCPPeer(
        name: descriptor.name, host: host, port: port, version: version,
        life: PeerLife(incarnation: descriptor.incarnation), options: options, traffic: traffic, logger: logger,
        inquiry: inquiry)
      state.peers[key] = peer
      return peer
    }
  }

  /// Ends everything: what is under way fails, threads end, sockets are closed. Returns within seconds.
  func close() {
    let peers = state.withLock { state in
      state.isClosed = true
      return Array(state.peers.values)
    }
    for peer in peers { peer.close() }
    server?.close()
    let deadline = Clock.now &+ Self.patience
    for peer in peers where !peer.awaitEnd(until: deadline) {
      logger.warning("a connection to \(peer.host) is still being made; its thread ends with the name server's answer")
    }
    if let server, !server.awaitEnd(until: deadline) { logger.warning("a TCP session has not ended within 5 s") }
  }
}
