internal import CFabric
internal import Cuda
internal import Fabric
internal import Synchronization

/// A registered buffer: its chunks and their registrations on the rails.
final class Region: @unchecked Sendable {
  /// One registration for all NICs; a buffer above a NIC's limits has several.
  struct Chunk {
    let start: UInt
    let length: Int
    /// One place per rail; nil where the chunk is not registered.
    let keys: [RegisteredMemory?]
  }

  let start: UInt
  let length: Int
  /// Where the memory is: `cpu:0`, `cuda:0`, or `*`.
  let location: String
  /// What peers may do with it.
  let access: RemoteAccess
  let chunks: [Chunk]
  /// The place in the order of registrations. Set once, with the registry's lock held.
  var order: UInt64 = 0
  /// What peers are told of it, once somebody has asked: the same each time.
  private let text = Mutex<[UInt8]?>(nil)
  /// Where neighbours on this host find it: an entry of the board, and the number of the file behind it, 0 for none.
  struct BoardEntry {
    let index: Int
    let file: UInt32
  }
  /// nil where it is not shown to them. Belongs to the holder of the registry's lock.
  var boardEntry: BoardEntry?
  /// How many work requests use it.
  let use: UnsafeMutablePointer<RegionUse>

  var end: UInt { start + UInt(length) }

  init(
    start: UInt, length: Int, location: String, access: RemoteAccess, chunks: [Chunk], gpu: CUDAContext? = nil
  ) {
    self.start = start
    self.length = length
    self.location = location
    self.access = access
    self.chunks = chunks
    use = .allocate(capacity: 1)
    use.initialize(to: RegionUse(gpu: gpu))
  }

  deinit {
    use.deinitialize(count: 1)
    use.deallocate()
  }

  /// What peers are told of it; `write` makes that when it is asked for first.
  func text(_ write: (Region) -> [UInt8]) -> [UInt8] {
    text.withLock { text in
      if let text { return text }
      let written = write(self)
      text = written
      return written
    }
  }

  /// Withdraws the registrations, each under its rail's baton.
  func close(_ rails: [Rail]) {
    for rail in rails {
      _ = try? rail.exclusively { () throws(FabricError) in
        for chunk in chunks where rail.index < chunk.keys.count { chunk.keys[rail.index]?.close() }
      }
    }
  }
}

/// A memory region of one NIC that can be closed at a chosen moment.
final class RegisteredMemory: @unchecked Sendable {
  let key: UInt64
  let descriptor: UnsafeMutableRawPointer?
  private var region: MemoryRegion?

  init(_ region: consuming MemoryRegion) {
    key = region.key
    descriptor = region.descriptor
    self.region = consume region
  }

  /// Must be called by the holder of the rail's baton.
  func close() { region = nil }
}
