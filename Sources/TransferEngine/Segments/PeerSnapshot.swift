internal import Wire

/// A peer's descriptor at one moment, in the form that planning wants.
final class PeerSnapshot: @unchecked Sendable {
  /// A registered range of the peer.
  struct Chunk {
    let start: UInt64
    let end: UInt64
    /// One key per NIC of the peer; 0 where it is not registered. None at all for TCP.
    let keys: UnsafeMutablePointer<UInt64>
  }

  /// What the peer published apart from its NICs and its memory, which are below in a form that takes less room.
  let header: SegmentDescriptor
  /// The peer's NICs.
  let nics: PeerNICs
  /// The published ranges in the order of the descriptor, those that cannot be used among them.
  let ranges: [SegmentDescription.Buffer]
  /// Those that can, by address.
  let chunks: UnsafeMutableBufferPointer<Chunk>
  private let keys: UnsafeMutableBufferPointer<UInt64>

  var nicCount: Int { nics.names.count }

  /// - Parameters:
  ///   - nics: The descriptor's NICs.
  ///   - needsKeys: Whether it is reached by NICs, which memory has to be registered with.
  init(_ descriptor: SegmentDescriptor, nics pairing: PeerNICs, needsKeys: Bool) {
    var header = descriptor
    (header.devices, header.buffers, header.priorityMatrix, header.timestamp) = ([], [], [:], nil)
    header.nicAddresses = nil
    self.header = header
    nics = pairing
    let nics = pairing.names.count
    ranges = descriptor.buffers.map { buffer in
      // Over TCP every range has its server's name: one text serves all.
      let location = buffer.name == header.name ? header.name : buffer.name
      return SegmentDescription.Buffer(location: location, address: buffer.address, length: buffer.length)
    }
    let usable = descriptor.buffers.filter { buffer in
      !needsKeys || (buffer.remoteKeys.count == nics && buffer.remoteKeys.contains { $0 != 0 })
    }.sorted { $0.address < $1.address }
    keys = .allocate(capacity: max(1, usable.count * nics))
    keys.initialize(repeating: 0)
    chunks = .allocate(capacity: usable.count)
    for (index, buffer) in usable.enumerated() {
      let own = (keys.baseAddress ?? .allocate(capacity: 0)) + index * nics
      for nic in 0..<min(nics, buffer.remoteKeys.count) { own[nic] = buffer.remoteKeys[nic] }
      let (end, wraps) = buffer.address.addingReportingOverflow(buffer.length)
      chunks.initializeElement(at: index, to: Chunk(start: buffer.address, end: wraps ? .max : end, keys: own))
    }
  }

  deinit {
    chunks.deallocate()
    keys.deallocate()
  }

  /// Whether the two say the same to an engine that plans with them.
  func isEquivalent(to other: PeerSnapshot) -> Bool {
    header.isEquivalent(to: other.header) && nics.names == other.nics.names && ranges == other.ranges
      && chunks.elementsEqual(other.chunks) { $0.start == $1.start && $0.end == $1.end }
      && keys.elementsEqual(other.keys)
  }

  /// The index of a chunk that holds `address`; nil where none does.
  func index(of address: UInt64) -> Int? {
    var low = 0
    var high = chunks.count
    // The last chunk that starts at or before the address.
    while low < high {
      let middle = (low + high) / 2
      if chunks[middle].start <= address { low = middle + 1 } else { high = middle }
    }
    var index = low - 1
    // A peer may publish ranges that overlap; an earlier one may then reach further.
    while index >= 0 {
      if address < chunks[index].end { return index }
      if low - index > Self.overlapSearch { return nil }
      index -= 1
    }
    return nil
  }

  /// Whether one chunk holds all of `[address, address + length)`.
  func holds(_ address: UInt64, length: Int) -> Bool {
    guard let index = index(of: address) else { return false }
    return UInt64(length) <= chunks[index].end - address
  }

  /// Neighbours looked at for a range that encloses others.
  private static let overlapSearch = 16

  /// Another of the peer's NICs for memory with these `keys`, which is not registered with NIC `first`; nil where it
  /// is registered with none.
  @inline(never)
  func nic(after first: Int, keys: UnsafeMutablePointer<UInt64>) -> Int? {
    for step in 1..<max(1, nicCount) {
      let nic = (first + step) % nicCount
      if keys[nic] != 0 { return nic }
    }
    return nil
  }
}
