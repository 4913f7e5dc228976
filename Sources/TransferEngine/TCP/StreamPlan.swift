internal import Cuda

/// How requests become operations over TCP: split where a registration ends, on either side, because a server serves
/// only what is inside one of its buffers; and large ones split further, so that several connections carry them.
struct StreamPlan {
  /// The local memory.
  let local: LocalSnapshot
  /// The peer's memory.
  let peer: PeerSnapshot
  /// The most bytes of one operation.
  let pieceSize: Int

  /// One operation.
  struct Slice {
    /// The local chunk, by index.
    var chunk: Int
    /// The local address.
    var local: UInt
    /// The address in the peer's process.
    var remote: UInt64
    /// Bytes.
    var length: Int
    /// Whether it is less than its request.
    var isPart: Bool
  }

  /// Requests from this size on are split.
  static let splitSize = 1 << 20
  private static let smallestPiece = 512 << 10
  private static let largestPiece = 4 << 20

  init(
    local: LocalSnapshot, peer: PeerSnapshot, requests: UnsafeBufferPointer<TransferRequest>, lanes: Int
  ) {
    self.local = local
    self.peer = peer
    var total = 0
    for request in requests { total &+= max(0, request.length) }
    // Two turns for each connection, so that one that is slower costs less than half.
    let share = total / max(1, 2 * lanes)
    pieceSize = lanes == 1 ? Int.max : min(max(share & ~0xffff, Self.smallestPiece), Self.largestPiece)
  }

  /// Plans `requests`, all to the same peer.
  ///
  /// - Throws: ``TransferError`` for a request that cannot be carried out; what was planned by then is void.
  func make(
    _ requests: UnsafeBufferPointer<TransferRequest>, into submission: inout Submission
  ) throws(TransferError) {
    let here = UnsafeBufferPointer(local.chunks)
    let there = UnsafeBufferPointer(peer.chunks)
    // The chunks that the request before ended in.
    var near = -1
    var far = -1
    for index in requests.indices {
      var (address, remote, remaining) = (requests[index].local, requests[index].remote, requests[index].length)
      guard remaining >= 0 else { throw .negativeLength(requests[index], index) }
      let length = remaining
      let limit = length < Self.splitSize ? length : pieceSize
      var parts = 0
      while remaining > 0 {
        if near < 0 || address < here[near].start || address >= here[near].end {
          guard let found = local.index(of: address) else {
            throw .unregistered(requests[index], index, at: address)
          }
          near = found
        }
        if far < 0 || remote < there[far].start || remote >= there[far].end {
          guard let found = peer.index(of: remote) else {
            throw .unpublished(requests[index], index, at: remote, by: peer)
          }
          far = found
        }
        // What passes through a connection's staging buffer has to fit into it.
        let most = here[near].isOnGPU ? min(limit, StagingBuffer.length) : limit
        let room = min(here[near].end &- address, UInt(truncatingIfNeeded: there[far].end &- remote))
        let size = Int(min(UInt(min(remaining, most)), room))
        parts &+= 1
        submission.append(
          Slice(chunk: near, local: address, remote: remote, length: size, isPart: size < length), of: index)
        address &+= UInt(size)
        remote &+= UInt64(size)
        remaining &-= size
      }
      submission.finish(index, parts: parts)
    }
  }
}
