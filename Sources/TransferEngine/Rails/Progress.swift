internal import CLinux
internal import Glibc
internal import Synchronization

/// Moves all rails on: for callers that wait or look, and by its own threads when nobody does.
final class Progress: @unchecked Sendable {
  /// The rails, in the order of their keys in the segment descriptor.
  let rails: [Rail]

  private let waiters = Waiters()
  /// Callers that wait and drive; the others sleep until they are needed.
  private let drivers = Atomic<Int>(0)
  /// Callers that post what they have submitted, or look without waiting.
  private let submitters = Atomic<Int>(0)
  /// As many as may: half of the processors, since whoever moves bytes by the CPU at the other end of a software fabric
  /// may be on this host, and no more than there are rails. With one caller for each processor, each on some rail,
  /// nobody else gets anywhere.
  private let maximumDrivers: Int
  private let isStopping = Atomic<Bool>(false)
  /// The sleeps of the threads, by which they are woken.
  private let naps = Mutex<[Nap]>([])
  private let threads = Mutex<[JoinableThread]>([])

  /// Passes without progress before whoever drives offers the core to others.
  private static let passesBeforeYield = 64
  /// Passes without a baton before a waiting caller sleeps.
  private static let passesBeforeSleep = 32
  /// A sleeping caller looks again after this long, whoever may have forgotten it, in nanoseconds: at first, and at most,
  /// since a hundred callers that look all the time leave the driver no processor.
  private static let shortestSleep: UInt64 = 2_000_000
  private static let longestSleep: UInt64 = 100_000_000
  /// Between the passes of a thread that has nothing to do, in nanoseconds: at first, at most while the last sign of
  /// life is less than ``drowsiness`` ago, and at most after that.
  private static let shortestNap: UInt64 = 50_000
  private static let longestNap: UInt64 = 1_000_000
  private static let longestSleepOfThread: UInt64 = 5_000_000
  private static let drowsiness: UInt64 = 1_000_000_000
  /// The sleep of a thread that the providers wake, in nanoseconds: only what they forget has to wait so long.
  private static let longestListening: UInt64 = 100_000_000
  /// Callers that drive come round to every rail with work within this time, in nanoseconds; if they do not, the
  /// provider keeps them at another one.
  private static let longestRound: UInt64 = 20_000_000
  /// How long a thread keeps looking after the last sign of life, in nanoseconds.
  private static let alertness: UInt64 = 200_000

  init(rails: [Rail]) {
    self.rails = rails
    maximumDrivers = max(1, min(rails.count, sysconf(Int32(_SC_NPROCESSORS_ONLN)) / 2))
  }

  // MARK: Callers

  /// Drives until `batch` is settled or the clock passes `deadline` (nanoseconds, monotonic). Returns whether it is
  /// settled.
  func wait(for batch: BatchPointer, deadline: UInt64) -> Bool {
    var isDriver = false
    defer {
      if isDriver { leave() } else { handOver() }
    }
    var fruitless = 0
    // Over TCP alone there is nothing to take over from anybody: only the batch's own end is waited for.
    var sleep = rails.isEmpty ? Self.longestSleep : Self.shortestSleep
    var now = clinux_monotonic_ns()
    while batch.pointee.outstanding.load(ordering: .acquiring) != 0 {
      // What goes over TCP the caller sees to itself, and waits for it where no rail may want it meanwhile.
      if batch.hasStream, fruitless == 0 || fruitless > Self.passesBeforeSleep {
        let isTied = hasWork
        if isDriver, !isTied {
          leave()
          isDriver = false
        }
        if batch.attend(until: isTied ? 0 : deadline), !isTied {
          now = clinux_monotonic_ns()
          if now >= deadline { break }
          continue
        }
      }
      isDriver = isDriver || becomeDriver()
      let pass = isDriver ? pass(now: now) : Rail.Pass(hadBaton: false, progress: 0)
      if pass.progress > 0 {
        fruitless = 0
      } else {
        fruitless += 1
        if pass.hadBaton {
          if fruitless % Self.passesBeforeYield == 0 { Thread.yield() }
        } else if fruitless > Self.passesBeforeSleep {
          // Who posts a batch, or has taken the role of a driver meanwhile, hands over when it stops.
          if isDriver { drivers.subtract(1, ordering: .sequentiallyConsistent) }
          isDriver = self.sleep(on: batch, nanoseconds: min(sleep, deadline &- now))
          sleep = min(2 * sleep, Self.longestSleep)
        } else {
          clinux_cpu_pause()
        }
      }
      now = clinux_monotonic_ns()
      if now >= deadline { break }
    }
    return batch.pointee.outstanding.load(ordering: .acquiring) == 0
  }

  /// Moves on what `batch` may be waiting for, without waiting.
  func look(at batch: BatchPointer) {
    _ = drive(now: clinux_monotonic_ns())
    _ = batch.attend(until: 0)
  }

  /// One pass over the rails that have work, for a caller that has submitted something, or looks without waiting.
  @discardableResult
  func drive(now: UInt64) -> Rail.Pass {
    submitters.add(1, ordering: .relaxed)
    defer { submitters.subtract(1, ordering: .relaxed) }
    return pass(now: now)
  }

  private func pass(now: UInt64) -> Rail.Pass {
    var total = Rail.Pass(hadBaton: false, progress: 0)
    for rail in rails where rail.outstanding.load(ordering: .relaxed) > 0 {
      let pass = rail.drive(now: now)
      total.progress += pass.progress
      if pass.hadBaton { total.hadBaton = true }
    }
    return total
  }

  /// Whether a rail has something to do; over TCP nobody has to be driven.
  private var hasWork: Bool { rails.contains { $0.outstanding.load(ordering: .relaxed) > 0 } }

  /// Whether a rail has something to do and nobody is at it this moment.
  private var hasFreeWork: Bool { rails.contains { $0.outstanding.load(ordering: .relaxed) > 0 && $0.isFree } }

  private func becomeDriver() -> Bool {
    guard drivers.load(ordering: .relaxed) < maximumDrivers, hasFreeWork else { return false }
    guard drivers.add(1, ordering: .sequentiallyConsistent).oldValue >= maximumDrivers else { return true }
    drivers.subtract(1, ordering: .sequentiallyConsistent)
    return false
  }

  /// Sleeps because others drive; they wake the batch when it settles or when they leave. Returns whether the caller has
  /// become one of them after all.
  private func sleep(on batch: BatchPointer, nanoseconds: UInt64) -> Bool {
    waiters.add(batch)
    defer { waiters.remove(batch) }
    batch.pointee.sleepers.pointee.store(1, ordering: .sequentiallyConsistent)
    // Whoever drove may have left before it could see this batch among the waiters: so try once more.
    guard batch.pointee.outstanding.load(ordering: .sequentiallyConsistent) != 0 else { return false }
    guard !becomeDriver() else { return true }
    batch.sleep(nanoseconds: nanoseconds)
    return false
  }

  /// A driver stops: somebody who sleeps takes over.
  private func leave() {
    drivers.subtract(1, ordering: .sequentiallyConsistent)
    handOver()
  }

  /// Wakes a sleeper if there is room for a driver, or the threads if nobody drives. Not only drivers do it: whom one has
  /// woken may need no more waiting.
  private func handOver() {
    let driving = drivers.load(ordering: .sequentiallyConsistent)
    guard driving < maximumDrivers, hasWork else { return }
    if !waiters.wakeOne(), driving == 0 { wake() }
  }

  // MARK: Threads

  /// Starts `count` threads that share the rails between them.
  func start(threads count: Int) throws(TransferError) {
    let count = min(count < 1 ? rails.count : count, rails.count)
    for number in 0..<count {
      let mine = stride(from: number, to: rails.count, by: count).map { rails[$0] }
      let nap = try Nap(mine)
      naps.withLock { $0.append(nap) }
      let thread = try Thread(name: "moonrail-rail-\(number)") { [self] in run(mine, nap) }
      let joinable = JoinableThread(thread)
      threads.withLock { $0.append(joinable) }
    }
  }

  /// Ends the threads.
  func stop() {
    isStopping.store(true, ordering: .sequentiallyConsistent)
    wake()
    let running = threads.withLock { threads in
      defer { threads = [] }
      return threads
    }
    for thread in running { thread.join() }
  }

  /// Ends the threads' naps: there is something to do that no caller waits for.
  func wake() {
    for nap in naps.withLock({ $0 }) { nap.wake() }
  }

  private func run(_ mine: [Rail], _ sleeper: Nap) {
    var passes = mine.map { _ in UInt64(0) }
    var passed = mine.map { _ in UInt64(0) }
    var accesses = mine.map { _ in UInt64(0) }
    let countsAccesses = mine.allSatisfy(\.countsRemoteAccess)
    var nap: UInt64 = 0
    var fruitless = 0
    var lastSign: UInt64 = 0
    // What a pass costs after a nap, when the caches are cold: a running average.
    var usualPass: UInt64 = 0
    while !isStopping.load(ordering: .relaxed) {
      let start = clinux_monotonic_ns()
      var isSign = false
      var hasWork = false
      var served = 0
      let callersSuffice =
        submitters.load(ordering: .relaxed) > 0 || drivers.load(ordering: .relaxed) >= maximumDrivers
      for (index, rail) in mine.enumerated() {
        // Others are at it, who see to what peers want of it as well, and two on one rail only get in each other's way.
        // The thread must not take a rail over between two batches of a caller either.
        let seen = rail.passes.load(ordering: .relaxed)
        if seen != passes[index] {
          passes[index] = seen
          passed[index] = start
          served += 1
          continue
        }
        let isDriven = callersSuffice && rail.outstanding.load(ordering: .relaxed) > 0
        let pass =
          isDriven && start &- passed[index] < Self.longestRound
          ? Rail.Pass(hadBaton: false, progress: 0) : rail.drive(now: start)
        guard pass.hadBaton else {
          served += 1
          continue
        }
        passes[index] = rail.passes.load(ordering: .relaxed)
        if pass.progress > 0 { isSign = true }
        if rail.outstanding.load(ordering: .relaxed) > 0 { hasWork = true }
        if let count = rail.remoteAccesses(), count != accesses[index] {
          accesses[index] = count
          isSign = true
        }
      }
      let now = clinux_monotonic_ns()
      if served == 0, !countsAccesses {
        // Peers' reads and writes of our memory complete nothing here. Where the provider does not count them, a pass that
        // took longer, since the CPU moved their bytes, is how a passive side knows that it is needed.
        let spent = now &- start
        if usualPass == 0 { usualPass = spent }
        if spent > 2 * usualPass + 1_000 { isSign = true }
        if nap > 0, !hasWork {
          // A pass that moved bytes says little of the usual one: only that it might be a bit longer than was thought.
          usualPass = isSign ? usualPass + usualPass / 64 + 1 : (15 * usualPass + spent) / 16
        }
      }
      if isSign { lastSign = now }
      if hasWork || served < mine.count && now &- lastSign < Self.alertness {
        nap = 0
        fruitless = isSign ? 0 : fruitless + 1
        if fruitless >= Self.passesBeforeYield {
          fruitless = 0
          Thread.yield()
        }
      } else {
        nap = nextNap(after: nap, served: served, of: mine.count, isDrowsy: now &- lastSign < Self.drowsiness)
        // Where others are at work, completions are theirs to find.
        let wasWoken = sleeper.sleep(nanoseconds: nap, listening: served > 0 ? 0 : Self.longestListening) {
          isStopping.load(ordering: .sequentiallyConsistent)
        }
        if wasWoken {
          lastSign = Clock.now
          nap = 0
        }
      }
    }
  }

  /// How long a thread with nothing to do sleeps if only time can wake it, in nanoseconds, where others see to `served` of
  /// its rails.
  private func nextNap(after nap: UInt64, served: Int, of count: Int, isDrowsy: Bool) -> UInt64 {
    // Callers come and go, so the rails that are left to this thread must not wait for longer than they usually do.
    if served > 0, served < count { return 4 * Self.shortestNap }
    return min(max(2 * nap, Self.shortestNap), isDrowsy || served > 0 ? Self.longestNap : Self.longestSleepOfThread)
  }
}
