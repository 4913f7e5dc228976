internal import Wire

/// How requests become operations: which bytes go over which rail, to which of the peer's NICs, under which key.
///
/// A function of its arguments and nothing else. Requests are split where a registration ends, on either side, and where
/// they are longer than an operation can be. Merging of neighbours and striping of large requests belong between the
/// reading of a request and ``Slice``.
struct Plan {
  /// The local memory.
  let local: LocalSnapshot
  /// The peer's memory.
  let peer: PeerSnapshot
  /// Whether the provider addresses the peer's memory by virtual address, or by the offset into the registration.
  let usesVirtualAddresses: Bool
  /// The most bytes of one operation.
  let maximumLength: Int

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
    /// One operation of request `index`. Returns false to end planning.
    mutating func append(_ slice: Slice, of index: Int) -> Bool
    /// Request `index` is planned, in `parts` operations.
    mutating func finish(_ index: Int, parts: Int)
  }

  /// Plans `requests`, all to the same peer, dealing them over the rails from turn `turn` on.
  ///
  /// - Returns: false if the sink ended it.
  /// - Throws: ``TransferError`` for a request that cannot be carried out; what the sink has got by then is void.
  func make<S: Sink & ~Copyable>(
    _ requests: UnsafeBufferPointer<TransferRequest>, turn: UInt64, into sink: inout S
  ) throws(TransferError) -> Bool {
    // Read once: going through the snapshots for every request would count references to them every time.
    let here = UnsafeBufferPointer(local.chunks)
    let there = UnsafeBufferPointer(peer.chunks)
    let primary = peer.nics.primary
    // The chunks that the request before ended in, and whose turn it is among the local one's rails.
    var near = -1
    var far = -1
    var position = 0
    for index in requests.indices {
      var (address, remote, remaining) = (requests[index].local, requests[index].remote, requests[index].length)
      guard remaining >= 0 else {
        throw .negativeLength(requests[index], index)
      }
      let length = remaining
      var parts = 0
      while remaining > 0 {
        if near < 0 || address < here[near].start || address >= here[near].end {
          guard let found = local.index(of: address), here[found].routeCount > 0 else {
            throw .unregistered(requests[index], index, at: address)
          }
          near = found
          position = Int(truncatingIfNeeded: (turn &+ UInt64(index)) % UInt64(here[near].routeCount))
        }
        if far < 0 || remote < there[far].start || remote >= there[far].end {
          guard let found = peer.index(of: remote) else {
            throw .unpublished(requests[index], index, at: remote, by: peer)
          }
          far = found
        }
        let room = min(here[near].end &- address, UInt(truncatingIfNeeded: there[far].end &- remote))
        let size = Int(min(UInt(min(remaining, maximumLength)), room))
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
          remote: usesVirtualAddresses ? remote : remote &- there[far].start, key: keys[nic], length: size,
          isPart: size < length)
        guard sink.append(slice, of: index) else { return false }
        address &+= UInt(size)
        remote &+= UInt64(size)
        remaining &-= size
      }
      sink.finish(index, parts: parts)
      position &+= 1
      if near >= 0, position >= here[near].routeCount { position = 0 }
    }
    return true
  }
}
