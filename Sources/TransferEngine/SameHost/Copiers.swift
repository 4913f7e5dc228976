internal import Glibc
internal import Logging
internal import Synchronization

/// Who copies between this process and its neighbours: the caller himself what is little, and of what is more, callers
/// that wait and a few threads, each a share at a time.
///
/// What waits is linked through the work requests of its batches, whose number is limited.
final class Copiers: @unchecked Sendable {
  /// Requests that wait for a copier.
  private final class Job {
    let run: NeighbourRun
    let batch: BatchPointer
    var head: WorkRequestPointer?

    init(_ run: NeighbourRun, _ oldest: WorkRequestPointer) {
      self.run = run
      batch = oldest.pointee.batch
      head = oldest
    }
  }

  /// Some of them.
  private struct Share {
    let job: Job
    let first: WorkRequestPointer
  }

  /// What a thread takes at once, in bytes and in requests: little enough that another one gets some as well.
  private static let shareBytes = Neighbour.windowBytes
  private static let shareLimit = 64
  /// A thread that had nothing to do for this long ends, in nanoseconds.
  private static let idleTime: UInt64 = 10_000_000_000
  /// Threads, beside those that wait for their batches: more do not move more than the memory gives.
  private static let most = 4

  let traffic = SameHostTraffic()
  private let limit: Int
  private let log: EventLog
  private let monitor = Monitor()
  /// There is work for an idle thread.
  private let work: Condition
  private let ended: Condition
  /// Jobs that have a request left, by which callers know whether looking is of use.
  private let waiting = Atomic<Int>(0)
  // These belong to the holder of the monitor.
  private var jobs: [Job] = []
  private var running = 0
  private var idle = 0
  private var isClosed = false

  init(_ logger: Logger) {
    limit = max(1, min(Self.most, sysconf(Int32(_SC_NPROCESSORS_ONLN)) - 1))
    log = EventLog(logger)
    work = Condition(monitor)
    ended = Condition(monitor)
  }

  // MARK: Callers

  /// Copies a small run at once, and keeps a large one for later.
  func take(_ run: NeighbourRun, deadline: UInt64) {
    guard let oldest = run.oldest else { return }
    if run.bytes <= NeighbourPlan.inlineLimit, let slot = run.neighbour.slots.take() {
      copy(oldest, run.neighbour, slot)
      return
    }
    monitor.lock()
    guard !isClosed else {
      monitor.unlock()
      return fail(oldest)
    }
    jobs.append(Job(run, oldest))
    waiting.store(jobs.count, ordering: .relaxed)
    let pieces = 1 + run.bytes / Self.shareBytes
    for _ in 0..<min(pieces, idle) { work.signal() }
    var missing = min(pieces - idle, limit - running)
    var failure: TransferError?
    while missing > 0, failure == nil {
      missing -= 1
      running += 1
      do throws(TransferError) {
        try Thread(name: "moonrail-copy") { [self] in self.run() }.detach()
      } catch {
        running -= 1
        failure = error
      }
    }
    let isAlone = running == 0
    monitor.unlock()
    guard isAlone, let failure else { return }
    // Nobody might ever look: so the caller does it now.
    log.warning("\(failure) The calling thread copies.")
    while help(oldest.pointee.batch) {}
  }

  /// Copies a share of what waits for `batch`, if there is any: for a caller that waits for it anyway. The caller holds
  /// the batch.
  func help(_ batch: BatchPointer) -> Bool {
    guard waiting.load(ordering: .relaxed) > 0 else { return false }
    monitor.lock()
    guard let index = jobs.firstIndex(where: { $0.batch == batch }) else {
      monitor.unlock()
      return false
    }
    let share = takeShare(of: index)
    monitor.unlock()
    copy(share)
    return true
  }

  // MARK: Threads

  private func run() {
    monitor.lock()
    let ended = ended
    while !isClosed {
      if jobs.isEmpty {
        idle += 1
        let isInTime = work.wait(until: Clock.now &+ Self.idleTime)
        idle -= 1
        if !isInTime, jobs.isEmpty { break }
        continue
      }
      let share = takeShare(of: 0)
      monitor.unlock()
      copy(share)
      monitor.lock()
    }
    running -= 1
    ended.broadcast()
    monitor.unlock()
  }

  /// Takes the next requests of a job, which goes to the end of the line, or away with its last one. For the holder of
  /// the monitor.
  private func takeShare(of index: Int) -> Share? {
    let job = jobs.remove(at: index)
    guard let first = job.head else { return nil }
    var last = first
    var (count, bytes) = (1, first.pointee.length)
    while count < Self.shareLimit, let next = last.pointee.next, bytes + next.pointee.length <= Self.shareBytes {
      last = next
      count += 1
      bytes += next.pointee.length
    }
    job.head = last.pointee.next
    last.pointee.next = nil
    if job.head != nil { jobs.append(job) }
    waiting.store(jobs.count, ordering: .relaxed)
    return Share(job: job, first: first)
  }

  private func copy(_ share: Share?) {
    guard let share else { return }
    let neighbour = share.job.run.neighbour
    while true {
      if let slot = neighbour.slots.take() { return copy(share.first, neighbour, slot) }
      // More threads than there are places are at it, each of them for a moment.
      Thread.yield()
    }
  }

  private func copy(_ first: WorkRequestPointer, _ neighbour: Neighbour, _ slot: Int) {
    var settlement = Settlement()
    var counts = SameHostStatistics()
    neighbour.copy(first, slot: slot, &settlement, &counts)
    neighbour.slots.giveBack(slot)
    traffic.add(counts)
    settlement.flush()
  }

  private func fail(_ first: WorkRequestPointer) {
    var settlement = Settlement()
    var cursor: WorkRequestPointer? = first
    var failures: UInt64 = 0
    while let request = cursor {
      cursor = request.pointee.next
      settlement.fail(request, as: .failed)
      failures += 1
    }
    settlement.flush()
    traffic.add(SameHostStatistics(failures: failures))
  }

  // MARK: The end

  /// Fails what waits, and lets the threads go.
  func close() {
    monitor.lock()
    isClosed = true
    let left = jobs
    jobs = []
    waiting.store(0, ordering: .relaxed)
    work.broadcast()
    monitor.unlock()
    for job in left {
      if let head = job.head { fail(head) }
    }
  }

  /// Waits until all threads have ended. Returns false at `deadline`.
  func awaitEnd(until deadline: UInt64) -> Bool {
    monitor.lock()
    defer { monitor.unlock() }
    while running > 0 {
      guard ended.wait(until: deadline) || Clock.now < deadline else { return false }
    }
    return true
  }
}
