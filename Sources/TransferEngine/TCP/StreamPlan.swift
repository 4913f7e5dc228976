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
  /// Whether memory of this side may be unregistered: to a socket it is all the same.
  let acceptsUnregistered: Bool

  /// One operation.
  struct Slice {
    /// The counter of the registration that the local memory is of.
    var use: UnsafeMutablePointer<RegionUse>
    /// Whether it is memory of a GPU.
    var isOnGPU: Bool
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
    local: LocalSnapshot, peer: PeerSnapshot, requests: UnsafeBufferPointer<TransferRequest>, lanes: Int,
    acceptsUnregistered: Bool
  ) {
    self.acceptsUnregistered = acceptsUnregistered
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
    // The local memory with one counter, and the peer's chunk, that the request before ended in.
    var near = (start: UInt.max, end: UInt.min, use: RegionUse.unregistered, isOnGPU: false)
    var far = -1
    for index in requests.indices {
      var (address, remote, remaining) = (requests[index].local, requests[index].remote, requests[index].length)
      guard remaining >= 0 else { throw .negativeLength(requests[index], index) }
      let length = remaining
      let limit = length < Self.splitSize ? length : pieceSize
      var parts = 0
      while remaining > 0 {
        if address < near.start || address >= near.end {
          if let found = local.index(of: address) {
            near = (here[found].start, here[found].end, here[found].use, here[found].isOnGPU)
          } else {
            guard acceptsUnregistered else { throw .unregistered(requests[index], index, at: address) }
            // No registration goes round the end of the address space, but a caller's number can.
            guard UInt(remaining) < UInt.max &- address else { throw .beyondAllMemory(requests[index], index) }
            near = (address, local.end(ofGapAt: address), RegionUse.unregistered, false)
          }
        }
        if far < 0 || remote < there[far].start || remote >= there[far].end {
          guard let found = peer.index(of: remote) else {
            throw .unpublished(requests[index], index, at: remote, by: peer)
          }
          far = found
        }
        // What passes through a connection's staging buffer has to fit into it.
        let most = near.isOnGPU ? min(limit, StagingBuffer.length) : limit
        let room = min(near.end &- address, UInt(truncatingIfNeeded: there[far].end &- remote))
        let size = Int(min(UInt(min(remaining, most)), room))
        parts &+= 1
        submission.append(
          Slice(
            use: near.use, isOnGPU: near.isOnGPU, local: address, remote: remote, length: size, isPart: size < length),
          of: index)
        address &+= UInt(size)
        remote &+= UInt64(size)
        remaining &-= size
      }
      submission.finish(index, parts: parts)
    }
  }
}
