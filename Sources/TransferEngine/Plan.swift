internal import Wire

/// How requests become operations: which bytes go over which rail, to which of the peer's NICs, under which key.
///
/// A function of its arguments and nothing else. Requests are split where a registration ends, on either side, and where
/// they are longer than an operation can be. Where memory has several rails, a large request is dealt out over them; and
/// requests that follow one another on both sides become one operation. ``OperationSize`` says how long those are.
struct Plan {
  /// The local memory.
  let local: LocalSnapshot
  /// The peer's memory.
  let peer: PeerSnapshot
  /// Whether the provider addresses the peer's memory by virtual address, or by the offset into the registration.
  let usesVirtualAddresses: Bool
  /// How long operations are.
  let size: OperationSize

  /// One operation.
  struct Slice {
    /// The local chunk, by index.
    var chunk: Int
    /// The local rail.
    var rail: Int
    /// The peer's NIC.
    var nic: Int
    /// The local address.
    var local: UInt
    /// The local registration's descriptor.
    var descriptor: UnsafeMutableRawPointer?
    /// The remote address, as the provider wants it.
    var remote: UInt64
    /// The remote registration's key.
    var key: UInt64
    /// Bytes.
    var length: Int
    /// Whether it is less than its request.
    var isPart: Bool
  }

  /// Takes what a plan comes to.
  protocol Sink: ~Copyable {
    /// One operation of request `index`.
    mutating func append(_ slice: Slice, of index: Int)
    /// The operation that was appended last carries out request `index` as well, of `length` bytes, and is longer by them.
    mutating func extend(by length: Int, with index: Int)
    /// Request `index` is planned, in `parts` operations, of which it may share the only one with others.
    mutating func finish(_ index: Int, parts: Int)
  }

  /// Plans `requests`, all to the same peer, dealing operations over the rails from turn `turn` on.
  ///
  /// - Throws: ``TransferError`` for a request that cannot be carried out; what the sink has got by then is void.
  func make<S: Sink & ~Copyable>(
    _ requests: UnsafeBufferPointer<TransferRequest>, turn: UInt64, into sink: inout S
  ) throws(TransferError) {
    // Read once: going through the snapshots for every request would count references to them every time.
    let here = UnsafeBufferPointer(local.chunks)
    let there = UnsafeBufferPointer(peer.chunks)
    let primary = peer.nics.primary
    // The chunks that the request before ended in, and whose turn it is among the local one's rails.
    var near = -1
    var far = -1
    var position = 0
    var turn = turn
    // The length that operations of the local chunk are to have.
    var wanted = 0
    // What the next request has to begin with to belong to the last operation, and how long it may be for that.
    var (next, nextRemote, room) = (UInt(0), UInt64(0), 0)
    var opcode = TransferOpcode.write
    for index in requests.indices {
      var (address, remote, remaining) = (requests[index].local, requests[index].remote, requests[index].length)
      let length = remaining
      if length <= room, address == next, remote == nextRemote, length > 0, requests[index].opcode == opcode {
        sink.extend(by: length, with: index)
        next &+= UInt(length)
        nextRemote &+= UInt64(length)
        room &-= length
        sink.finish(index, parts: 1)
        continue
      }
      // Only the request right before may be shared with: the places of a shared operation's requests are neighbours.
      room = 0
      guard remaining >= 0 else {
        throw .negativeLength(requests[index], index)
      }
      var parts = 0
      while remaining > 0 {
        if near < 0 || address < here[near].start || address >= here[near].end {
          guard let found = local.index(of: address), here[found].routeCount > 0 else {
            throw .unregistered(requests[index], index, at: address)
          }
          near = found
          position = Int(truncatingIfNeeded: turn % UInt64(here[near].routeCount))
          wanted = size.wanted(rails: here[near].routeCount)
        }
        if far < 0 || remote < there[far].start || remote >= there[far].end {
          guard let found = peer.index(of: remote) else {
            throw .unpublished(requests[index], index, at: remote, by: peer)
          }
          far = found
        }
        let limit = size.limit(length, wanted: wanted, rails: here[near].routeCount)
        let space = min(here[near].end &- address, UInt(truncatingIfNeeded: there[far].end &- remote))
        let taken = Int(min(UInt(min(remaining, limit)), space))
        let route = here[near].routes[position]
        let keys = there[far].keys
        var nic = primary[route.rail]
        if keys[nic] == 0 {
          guard let other = peer.nic(after: nic, keys: keys) else {
            throw .unpublished(requests[index], index, at: remote, by: peer)
          }
          nic = other
        }
        parts &+= 1
        let slice = Slice(
          chunk: near, rail: route.rail, nic: nic, local: address, descriptor: route.descriptor,
          remote: usesVirtualAddresses ? remote : remote &- there[far].start, key: keys[nic], length: taken,
          isPart: taken < length)
        turn &+= 1
        position &+= 1
        if position >= here[near].routeCount { position = 0 }
        address &+= UInt(taken)
        remote &+= UInt64(taken)
        remaining &-= taken
        sink.append(slice, of: index)
        if !slice.isPart {
          (next, nextRemote, opcode) = (address, remote, requests[index].opcode)
          room = min(wanted &- taken, Int(bitPattern: space) &- taken)
        }
      }
      sink.finish(index, parts: parts)
    }
  }
}
