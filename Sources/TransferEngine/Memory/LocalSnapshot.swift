internal import Cuda

/// All registered chunks at one moment, sorted by address, in the form that planning wants.
final class LocalSnapshot: @unchecked Sendable {
  /// A rail that can send from and receive into a chunk.
  struct Route {
    /// The rail's index.
    let rail: Int
    /// The chunk's descriptor on it.
    let descriptor: UnsafeMutableRawPointer?
  }

  /// Contiguous memory with the same registrations.
  struct Chunk {
    let start: UInt
    let end: UInt
    let use: UnsafeMutablePointer<RegionUse>
    /// The rails to use in turn: those near the memory, where any is.
    let routes: UnsafeMutablePointer<Route>
    let routeCount: Int
    /// What peers may do with it.
    let access: RemoteAccess
    /// Whether it is a GPU's memory, which the processor must not touch.
    let isOnGPU: Bool
  }

  let chunks: UnsafeMutableBufferPointer<Chunk>
  /// Whether any of it is a GPU's memory.
  let hasGPUMemory: Bool
  private let routes: UnsafeMutableBufferPointer<Route>
  /// Keeps the counters alive that the chunks point to.
  private let regions: [Region]

  /// - Parameters:
  ///   - regions: Sorted by address, without overlap.
  ///   - preferred: The rails near a location, by index.
  init(regions: [Region], preferred: (String) -> [Int]) {
    self.regions = regions
    hasGPUMemory = regions.contains { $0.use.pointee.gpu != nil }
    let chunkCount = regions.reduce(0) { $0 + $1.chunks.count }
    let routeCount = regions.reduce(0) { $0 + $1.chunks.reduce(0) { $0 + $1.keys.count } }
    chunks = .allocate(capacity: chunkCount)
    routes = .allocate(capacity: routeCount)
    var chunkIndex = 0
    var routeIndex = 0
    var nearby: [String: [Int]] = [:]
    for region in regions {
      let near = nearby[region.location] ?? preferred(region.location)
      nearby[region.location] = near
      for chunk in region.chunks {
        let registered = chunk.keys.indices.filter { chunk.keys[$0] != nil }
        let wanted = near.filter(registered.contains)
        let first = routeIndex
        for rail in wanted.isEmpty ? registered : wanted {
          routes.initializeElement(at: routeIndex, to: Route(rail: rail, descriptor: chunk.keys[rail]?.descriptor))
          routeIndex += 1
        }
        chunks.initializeElement(
          at: chunkIndex,
          to: Chunk(
            start: chunk.start, end: chunk.start + UInt(chunk.length), use: region.use,
            routes: (routes.baseAddress ?? .allocate(capacity: 0)) + first, routeCount: routeIndex - first,
            access: region.access, isOnGPU: region.use.pointee.gpu != nil))
        chunkIndex += 1
      }
    }
  }

  deinit {
    chunks.deallocate()
    routes.deallocate()
  }

  /// The index of the chunk that holds `address`; nil where none does.
  func index(of address: UInt) -> Int? {
    var low = 0
    var high = chunks.count
    while low < high {
      let middle = (low + high) / 2
      if chunks[middle].end <= address { low = middle + 1 } else { high = middle }
    }
    return low < chunks.count && chunks[low].start <= address ? low : nil
  }

  /// Where the next chunk begins after `address`, which is in none; the last address where there is no next one.
  func end(ofGapAt address: UInt) -> UInt {
    var low = 0
    var high = chunks.count
    while low < high {
      let middle = (low + high) / 2
      if chunks[middle].start <= address { low = middle + 1 } else { high = middle }
    }
    return low < chunks.count ? chunks[low].start : UInt.max
  }

  /// What a peer may use: the registration that holds all of `[address, address + length)`, if it allows `opcode`. A
  /// range that crosses into another registration is refused, even if that follows without a gap.
  ///
  /// Nothing here is trusted: address and length are as they came from the wire.
  func use(
    of address: UInt64, length: UInt64, for opcode: TransferOpcode
  ) -> UnsafeMutablePointer<RegionUse>? {
    let (end, wraps) = address.addingReportingOverflow(length)
    guard length > 0, !wraps, length <= UInt64(Int.max), let first = UInt(exactly: address),
      let last = UInt(exactly: end), let start = index(of: first), chunks[start].access.allows(opcode)
    else { return nil }
    var index = start
    while chunks[index].end < last {
      index += 1
      guard index < chunks.count, chunks[index].use == chunks[start].use else { return nil }
    }
    return chunks[start].use
  }

  /// The context of the first GPU that has a part of `[address, address + length)`, all of which is registered; nil if
  /// all of it is host memory.
  func gpu(of address: UInt, length: Int) -> CUDAContext? {
    guard hasGPUMemory, length > 0, var index = index(of: address) else { return nil }
    while index < chunks.count, chunks[index].start < address + UInt(length) {
      if chunks[index].isOnGPU { return chunks[index].use.pointee.gpu }
      index += 1
    }
    return nil
  }

  /// Whether all of `[address, address + length)` is registered, over however many chunks.
  func covers(_ address: UInt, length: Int) -> Bool {
    var position = address
    var remaining = UInt(length)
    while remaining > 0 {
      guard let index = index(of: position) else { return false }
      let here = min(remaining, chunks[index].end - position)
      position += here
      remaining -= here
    }
    return true
  }
}
