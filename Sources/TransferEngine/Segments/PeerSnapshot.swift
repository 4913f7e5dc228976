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

  let descriptor: SegmentDescriptor
  let chunks: UnsafeMutableBufferPointer<Chunk>
  /// The peer's NICs.
  let nicCount: Int
  /// Which of the peer's NICs each local rail talks to, where the memory is registered with it.
  let primary: UnsafeBufferPointer<Int>
  private let keys: UnsafeMutablePointer<UInt64>

  /// - Parameters:
  ///   - rails: The local devices by name, in the order of the rails.
  ///   - needsKeys: Whether it is reached by NICs, which memory has to be registered with.
  init(_ descriptor: SegmentDescriptor, rails: [String], needsKeys: Bool) {
    self.descriptor = descriptor
    let nics = descriptor.devices.count
    nicCount = nics
    // By name first: on two hosts of one kind the same name is the same place on the same network rail. What has no
    // namesake is dealt out evenly.
    let primary = UnsafeMutableBufferPointer<Int>.allocate(capacity: rails.count)
    for rail in rails.indices {
      let namesake = descriptor.devices.firstIndex { $0.name == rails[rail] }
      primary.initializeElement(at: rail, to: namesake ?? (nics == 0 ? 0 : rail % nics))
    }
    self.primary = UnsafeBufferPointer(primary)
    let usable = descriptor.buffers.filter { buffer in
      !needsKeys || (buffer.remoteKeys.count == nics && buffer.remoteKeys.contains { $0 != 0 })
    }.sorted { $0.address < $1.address }
    keys = .allocate(capacity: max(1, usable.count * nics))
    chunks = .allocate(capacity: usable.count)
    for (index, buffer) in usable.enumerated() {
      let own = keys + index * nics
      for nic in 0..<min(nics, buffer.remoteKeys.count) { (own + nic).initialize(to: buffer.remoteKeys[nic]) }
      let (end, wraps) = buffer.address.addingReportingOverflow(buffer.length)
      chunks.initializeElement(at: index, to: Chunk(start: buffer.address, end: wraps ? .max : end, keys: own))
    }
  }

  deinit {
    chunks.deallocate()
    keys.deallocate()
    primary.deallocate()
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
