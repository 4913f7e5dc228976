/// Where the requests of a batch are: their tasks and their work requests.
///
/// Belongs to whoever has made the batch or submits to it, one thread at a time, while others look at the batch's counts.
struct BatchMemory: ~Copyable {
  /// Requests that there is room for.
  private(set) var capacity = 0
  /// One per request.
  private(set) var tasks: UnsafeMutablePointer<TransferTask>?
  /// One per request; the second and later parts of split requests have theirs from ``takePart()``.
  private(set) var slab: WorkRequestPointer?
  /// Requests that the two slabs above have room for; at least ``capacity``.
  private var slabCapacity = 0
  /// Slabs for the second and later parts of requests.
  private var partSlabs: [WorkRequestPointer] = []
  /// Parts taken from them.
  private(set) var partCount = 0

  /// Parts in a slab.
  private static let partsPerSlab = 256
  /// Slabs that are kept for the batch's next life: a gigabyte in parts of a megabyte.
  private static let keptPartSlabs = 4

  /// Makes room for `count` requests, reusing the slabs of an earlier life if they are of a fitting size.
  mutating func prepare(_ count: Int) {
    if slab == nil || slabCapacity < count || slabCapacity > max(64, count * 8) {
      releaseSlabs()
      let tasks = UnsafeMutablePointer<TransferTask>.allocate(capacity: max(count, 1))
      for index in 0..<count { (tasks + index).initialize(to: TransferTask()) }
      self.tasks = tasks
      slab = WorkRequestPointer.allocate(capacity: max(count, 1))
      slabCapacity = count
    }
    capacity = count
  }

  /// An uninitialised work request for the second or a later part of a request.
  mutating func takePart() -> WorkRequestPointer {
    let (slab, place) = (partCount / Self.partsPerSlab, partCount % Self.partsPerSlab)
    if slab == partSlabs.count { partSlabs.append(.allocate(capacity: Self.partsPerSlab)) }
    partCount += 1
    return partSlabs[slab] + place
  }

  /// Takes back all parts but the first `count`; nobody may have them any more.
  mutating func returnParts(downTo count: Int) { partCount = count }

  /// Takes all parts back and keeps the memory for some. Nothing of it may be with a provider.
  mutating func releaseParts() {
    partCount = 0
    while partSlabs.count > Self.keptPartSlabs { partSlabs.removeLast().deallocate() }
  }

  private mutating func releaseSlabs() {
    tasks?.deinitialize(count: slabCapacity).deallocate()
    slab?.deallocate()
    tasks = nil
    slab = nil
    slabCapacity = 0
  }

  deinit {
    tasks?.deinitialize(count: slabCapacity).deallocate()
    slab?.deallocate()
    for slab in partSlabs { slab.deallocate() }
  }
}
