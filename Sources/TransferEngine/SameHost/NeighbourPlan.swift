internal import Synchronization

/// Those requests of one call of `submit` that go to neighbours on this host: what ``Submission`` is to the others.
///
/// A request is taken if all of it is in one of this side's registrations and in one of the neighbour's, in memory of
/// the host, and the neighbour allows it. Whatever is not, is planned for the other ways, which know what to say of it.
struct NeighbourPlan: ~Copyable {
  private let batch: BatchPointer
  private let local: LocalSnapshot
  private let deadline: UInt64
  /// The task of the call's first request.
  private let firstTask: Int
  /// The first is kept apart: nearly always there is one, and an array would be an allocation.
  private var first: NeighbourRun?
  private var others: [NeighbourRun] = []
  /// Operations that were planned.
  private(set) var total = 0

  /// The most bytes of one operation: as long as nobody who waits for it has to wait for more.
  static let pieceLength = 2 << 20
  /// What a call of `submit` copies itself, in bytes; more is left to others, so that it returns.
  static let inlineLimit = 1 << 20

  init(_ batch: BatchPointer, local: LocalSnapshot, deadline: UInt64) {
    self.batch = batch
    self.local = local
    self.deadline = deadline
    firstTask = batch.pointee.submitted.load(ordering: .relaxed)
  }

  /// This side of a request.
  private struct Near {
    let use: UnsafeMutablePointer<RegionUse>
    let isRegistered: Bool
  }

  private func near(_ request: TransferRequest, _ acceptsUnregistered: Bool) -> Near? {
    guard request.length > 0 else { return nil }
    let length = UInt(request.length)
    if let index = local.index(of: request.local) {
      let use = local.chunks[index].use
      guard !local.chunks[index].isOnGPU else { return nil }
      // A registration with NICs may be several chunks.
      var last = index
      while length > local.chunks[last].end &- request.local {
        last += 1
        guard last < local.chunks.count, local.chunks[last].use == use else { return nil }
      }
      return Near(use: use, isRegistered: true)
    }
    guard acceptsUnregistered, length <= local.end(ofGapAt: request.local) &- request.local else { return nil }
    return Near(use: RegionUse.unregistered, isRegistered: false)
  }

  /// Whether ``take(_:from:of:_:acceptsUnregistered:)`` would take the request.
  func takes(_ request: TransferRequest, _ view: NeighbourView, _ acceptsUnregistered: Bool) -> Bool {
    view.entry(of: request.remote, length: request.length, for: request.opcode) != nil
      && near(request, acceptsUnregistered) != nil
  }

  /// Plans requests from number `start` on, as long as they are for the same target and can be taken. Returns how many
  /// those are.
  ///
  /// - Parameter acceptsUnregistered: Whether memory of this side may be unregistered.
  mutating func take(
    _ requests: UnsafeBufferPointer<TransferRequest>, from start: Int, of neighbour: Neighbour, _ view: NeighbourView,
    acceptsUnregistered: Bool
  ) -> Int {
    guard let slab = batch.pointee.memory.slab, let tasks = batch.pointee.memory.tasks else { return 0 }
    var run: NeighbourRun?
    var index = start
    while index < requests.count, requests[index].target == requests[start].target {
      let request = requests[index]
      guard let entry = view.entry(of: request.remote, length: request.length, for: request.opcode),
        let near = near(request, acceptsUnregistered)
      else { break }
      if run == nil { run = begin(neighbour, view) }
      // What is not registered may not be there at all, which the kernel finds out and a copy of ours would not.
      let mapped = near.isRegistered ? entry.pointee.mapped : nil
      let offset = Int(request.remote &- entry.pointee.start)
      var done = 0
      var parts = 0
      while done < request.length {
        let length = min(request.length &- done, Self.pieceLength)
        let task = firstTask + index
        let slot = parts == 0 ? slab + task : batch.pointee.memory.takePart()
        slot.pointee.batch = batch
        slot.pointee.use = near.use
        slot.pointee.local = UnsafeMutableRawPointer(bitPattern: request.local &+ UInt(done))
        slot.pointee.descriptor = mapped.map { $0 + offset + done }
        slot.pointee.remote = request.remote &+ UInt64(done)
        slot.pointee.key = entry.pointee.key
        slot.pointee.length = length
        slot.pointee.deadline = deadline
        slot.pointee.task = Int32(truncatingIfNeeded: task)
        slot.pointee.taskCount = 1
        slot.pointee.opcode = request.opcode
        slot.pointee.isPart = length < request.length
        slot.pointee.isAbandoned = false
        run?.append(slot)
        parts &+= 1
        done &+= length
      }
      near.use.pointee.count.add(parts, ordering: .relaxed)
      (tasks + firstTask + index).pointee.reset(parts: Int32(truncatingIfNeeded: parts))
      total &+= parts
      index += 1
    }
    if let run { first = run }
    return index - start
  }

  /// The run to add to; it is put back as the first one.
  private mutating func begin(_ neighbour: Neighbour, _ view: NeighbourView) -> NeighbourRun {
    guard let current = first else { return NeighbourRun(neighbour, view) }
    if current.view === view { return current }
    others.append(current)
    if let index = others.firstIndex(where: { $0.view === view }) { return others.remove(at: index) }
    return NeighbourRun(neighbour, view)
  }

  /// Copies what is little, and leaves the rest to `copiers`. After the batch knows how much there is.
  mutating func handOver(to copiers: Copiers) {
    if let first { copiers.take(first, deadline: deadline) }
    for run in others { copiers.take(run, deadline: deadline) }
  }

  /// Takes everything back. The parts are the submission's to forget, after this.
  mutating func undo() {
    if let first { Self.forget(first) }
    for run in others { Self.forget(run) }
    first = nil
    others = []
    total = 0
  }

  private static func forget(_ run: NeighbourRun) {
    var cursor = run.oldest
    while let request = cursor {
      cursor = request.pointee.next
      request.pointee.use.pointee.count.subtract(1, ordering: .relaxed)
    }
  }
}
