internal import CLinux
internal import Glibc
internal import Synchronization

/// Moves all rails on: for callers that wait or look, and by its own threads when nobody does.
final class Progress: @unchecked Sendable {
  /// The rails, in the order of their keys in the segment descriptor.
  let rails: [Rail]
  /// The same, for those who come round to them all the time: going through ``rails`` counts two references to each.
  private let uncounted: [Unmanaged<Rail>]

  private let waiters = Waiters()
  /// Callers that wait and drive; the others sleep until they are needed.
  private let drivers = Atomic<Int>(0)
  /// Callers that post what they have submitted, or look without waiting.
  private let submitters = Atomic<Int>(0)
  /// How many times one of either has stopped.
  private let departures = Atomic<Int>(0)
  /// As many as may: half of the processors, since whoever moves bytes by the CPU at the other end of a software fabric
  /// may be on this host, and no more than there are rails. With one caller for each processor, each on some rail,
  /// nobody else gets anywhere.
  private let maximumDrivers: Int
  private let stopping = Atomic<Bool>(false)
  /// Until when peers are expected, in nanoseconds of the monotonic clock.
  private let expected = Atomic<UInt64>(0)
  /// The sleeps of the threads, by which they are woken.
  private let naps = Mutex<[Nap]>([])
  private let threads = Mutex<[JoinableThread]>([])

  /// Time without progress after which whoever drives offers the core to others, in nanoseconds: longer than a write over
  /// EFA takes, some 20 us, and no longer, since whoever has to answer may be waiting for this very core.
  static let patience: UInt64 = 30_000
  /// How long after its handshake a peer is expected, in nanoseconds: it has links to make first, some 50 us each.
  private static let hospitality: UInt64 = 3_000_000
  /// Passes without a baton before a waiting caller sleeps.
  private static let passesBeforeSleep = 32
  /// A sleeping caller looks again after this long, whoever may have forgotten it, in nanoseconds: at first, for each that
  /// sleeps already, and at most, since a hundred callers that look all the time leave the driver no processor.
  private static let shortestSleep: UInt64 = 2_000_000
  private static let sleepPerSleeper: UInt64 = 1_000_000
  private static let longestSleep: UInt64 = 100_000_000

  init(rails: [Rail]) {
    self.rails = rails
    uncounted = rails.map { Unmanaged.passUnretained($0) }
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
    var lastOffer = now
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
        lastOffer = now
      } else {
        fruitless += 1
        if pass.hadBaton {
          if now &- lastOffer >= Self.patience {
            lastOffer = now
            Thread.yield()
          }
        } else if fruitless > Self.passesBeforeSleep {
          // Who posts a batch, or has taken the role of a driver meanwhile, hands over when it stops.
          if isDriver { stepDown() }
          let turns = UInt64(waiters.number) * Self.sleepPerSleeper
          isDriver = self.sleep(on: batch, nanoseconds: min(max(sleep, turns), Self.longestSleep, deadline &- now))
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

  /// Hands every rail its chain, where it has one.
  func push(_ chains: UnsafePointer<Submission.Chain>) {
    for index in uncounted.indices {
      let chain = chains[index]
      guard let youngest = chain.youngest, let oldest = chain.oldest else { continue }
      uncounted[index]._withUnsafeGuaranteedRef { $0.push(youngest: youngest, oldest: oldest, count: chain.count) }
    }
  }

  /// Sees to what has just been pushed, which whoever drives does too, and hands on when it stops.
  func post(now: UInt64) {
    guard drivers.load(ordering: .sequentiallyConsistent) < maximumDrivers else { return }
    drive(now: now)
  }

  /// One pass over the rails that have work, for a caller that does not wait.
  @discardableResult
  func drive(now: UInt64) -> Rail.Pass {
    submitters.add(1, ordering: .relaxed)
    defer {
      departures.add(1, ordering: .relaxed)
      submitters.subtract(1, ordering: .relaxed)
    }
    return pass(now: now)
  }

  private func pass(now: UInt64) -> Rail.Pass {
    var total = Rail.Pass(hadBaton: false, progress: 0)
    for rail in uncounted {
      let pass = rail._withUnsafeGuaranteedRef { $0.hasWork ? $0.drive(now: now) : nil }
      guard let pass else { continue }
      total.progress += pass.progress
      if pass.hadBaton { total.hadBaton = true }
    }
    return total
  }

  /// Whether a rail has something to do; over TCP nobody has to be driven.
  private var hasWork: Bool {
    uncounted.contains { $0._withUnsafeGuaranteedRef { $0.outstanding.load(ordering: .sequentiallyConsistent) > 0 } }
  }

  /// Whether a rail has something to do and nobody is at it this moment.
  private var hasFreeWork: Bool { uncounted.contains { $0._withUnsafeGuaranteedRef { $0.hasWork && $0.isFree } } }

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
    stepDown()
    handOver()
  }

  private func stepDown() {
    departures.add(1, ordering: .relaxed)
    drivers.subtract(1, ordering: .sequentiallyConsistent)
  }

  /// Wakes a sleeper if there is room for a driver, or the threads if nobody drives. Not only drivers do it: whom one has
  /// woken may need no more waiting.
  private func handOver() {
    let driving = drivers.load(ordering: .sequentiallyConsistent)
    guard driving < maximumDrivers, hasWork else { return }
    if !waiters.wakeOne(), driving == 0 { wake() }
  }

  // MARK: Threads

  /// Whether the threads are to end.
  var isStopping: Bool { stopping.load(ordering: .sequentiallyConsistent) }
  /// Whether a peer that has asked for the addresses is about to use them.
  func expectsPeer(at now: UInt64) -> Bool { now < expected.load(ordering: .relaxed) }
  /// Whether as many callers are at work as may be, who see to every rail that has work.
  var callersSuffice: Bool {
    submitters.load(ordering: .relaxed) > 0 || drivers.load(ordering: .relaxed) >= maximumDrivers
  }

  /// A number that stays the same while the same callers are at work, which may be one call into a provider; nil while none
  /// is.
  var callers: Int? {
    let number = drivers.load(ordering: .relaxed) + submitters.load(ordering: .relaxed)
    return number > 0 ? departures.load(ordering: .relaxed) : nil
  }

  /// Starts `count` threads that share the rails between them.
  func start(threads count: Int) throws(TransferError) {
    let count = min(count < 1 ? rails.count : count, rails.count)
    for number in 0..<count {
      let mine = stride(from: number, to: rails.count, by: count).map { rails[$0] }
      let nap = try Nap(mine)
      naps.withLock { $0.append(nap) }
      let thread = try Thread(name: "moonrail-rail-\(number)") { [self] in
        var thread = ProgressThread(mine, of: self, nap)
        thread.run()
      }
      let joinable = JoinableThread(thread)
      threads.withLock { $0.append(joinable) }
    }
  }

  /// Ends the threads.
  func stop() {
    stopping.store(true, ordering: .sequentiallyConsistent)
    wake()
    let running = threads.withLock { threads in
      defer { threads = [] }
      return threads
    }
    for thread in running { thread.join() }
  }

  /// A peer has asked for the addresses. What it does with them should not find the threads asleep.
  func expectPeer() {
    expected.store(Clock.now &+ Self.hospitality, ordering: .relaxed)
    wake()
  }

  /// Ends the threads' naps: there is something to do that no caller waits for.
  func wake() {
    for nap in naps.withLock({ $0 }) { nap.wake() }
  }
}
