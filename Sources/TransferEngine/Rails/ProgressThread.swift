internal import Synchronization

/// One of the engine's own threads, which moves rails on when no caller does: what was submitted by callers that do not
/// wait, and what peers want of this side.
struct ProgressThread: ~Copyable {
  private let progress: Progress
  private let nap: Nap
  private let watches: UnsafeMutableBufferPointer<Watch>
  /// Whether every provider counts what peers do.
  private let countsAccesses: Bool

  /// The rail to look at first.
  private var first = 0
  private var napLength = NapLength()
  /// When there was work last, or a peer at work.
  private var lastSign: UInt64 = 0
  /// When there was a sign, or the core was offered to others.
  private var lastOffer: UInt64 = 0
  /// How long to keep looking after the last sign, in nanoseconds.
  private var alertness = Self.shortestAlertness
  /// What a round costs after a nap, when the caches are cold, in nanoseconds: a running average.
  private var usualRound: UInt64 = 0

  /// A rail, and what the thread has seen of it.
  private struct Watch {
    let rail: Rail
    var passes: UInt64 = 0
    /// When somebody else's pass was noticed last.
    var lastPassed: UInt64 = 0
    var accesses: UInt64 = 0
  }

  /// What a round has shown.
  private struct Round {
    /// Rails that others see to.
    var served = 0
    /// Whether a rail that nobody else sees to has work.
    var hasWork = false
    /// Whether something was done, by this side or by a peer.
    var isSign = false
  }

  /// Time without a sign after which a thread naps for longer, in nanoseconds.
  private static let drowsiness: UInt64 = 1_000_000_000
  /// The sleep of a thread that the providers wake, in nanoseconds: only what they forget has to wait so long.
  private static let longestListening: UInt64 = 100_000_000
  /// How long a thread keeps looking after the last sign, in nanoseconds: at first, and at most, where sleeps end at once
  /// because there is work that its rounds do not show.
  private static let shortestAlertness: UInt64 = 200_000
  private static let longestAlertness: UInt64 = 10_000_000
  /// How long it keeps the core for itself without a sign, in nanoseconds. A round that moved bytes may show none, and who
  /// waits for the answer to a single write has got the core right after it (``rest(_:now:)``).
  private static let patience: UInt64 = 100_000
  /// Callers that drive come round to every rail with work within this time, in nanoseconds; if they do not, the
  /// provider keeps them at another one. A round over 16 software NICs that send a megabyte each takes some 40 ms, and a
  /// thread that helps takes the processor from whoever receives on this host.
  private static let longestRound: UInt64 = 250_000_000

  init(_ rails: [Rail], of progress: Progress, _ nap: Nap) {
    self.progress = progress
    self.nap = nap
    countsAccesses = rails.allSatisfy(\.countsRemoteAccess)
    watches = .allocate(capacity: rails.count)
    _ = watches.initialize(fromContentsOf: rails.map { Watch(rail: $0) })
  }

  deinit {
    watches.deinitialize()
    watches.deallocate()
  }

  /// Until the engine stops.
  mutating func run() {
    while !progress.isStopping {
      let start = Clock.now
      var round = look(now: start)
      let end = Clock.now
      if round.served == 0, !countsAccesses { judge(&round, spent: end &- start) }
      if round.isSign {
        // After a nap that short it should have stayed awake: a read of a megabyte may show nothing for longer than that.
        if napLength.last > 0 { adapt(isTooSoon: napLength.last <= NapLength.shared) }
        lastSign = end
      }
      let isAlert = round.served < watches.count && (end &- lastSign < alertness || progress.expectsPeer(at: end))
      if round.hasWork || isAlert { stayAwake(round, now: end) } else { rest(round, now: end) }
    }
  }

  /// One pass over the rails that are left to this thread.
  private mutating func look(now: UInt64) -> Round {
    var round = Round()
    for place in watches.indices {
      // Beginning with the one that ended the nap: each costs a system call.
      let index = (first + place) % watches.count
      let rail = watches[index].rail
      // Others are at it, who see to what peers want of it as well, and two on one rail only get in each other's way. The
      // thread must not take a rail over between two batches of a caller either.
      let passes = rail.passes.load(ordering: .relaxed)
      guard passes == watches[index].passes else {
        watches[index].passes = passes
        watches[index].lastPassed = now
        round.served += 1
        continue
      }
      let isDriven = progress.callersSuffice && rail.hasWork
      guard !isDriven || now &- watches[index].lastPassed >= Self.longestRound else {
        round.served += 1
        continue
      }
      let pass = rail.drive(now: now)
      guard pass.hadBaton else {
        round.served += 1
        continue
      }
      watches[index].passes = rail.passes.load(ordering: .relaxed)
      if pass.progress > 0 { round.isSign = true }
      if rail.hasWork { round.hasWork = true }
      if let accesses = rail.remoteAccesses(), accesses != watches[index].accesses {
        watches[index].accesses = accesses
        round.isSign = true
      }
    }
    return round
  }

  /// Peers' reads and writes of our memory complete nothing here. Where the provider does not count them, a round that
  /// took longer, since the CPU moved their bytes, is how a passive side knows that it is needed.
  private mutating func judge(_ round: inout Round, spent: UInt64) {
    if usualRound == 0 { usualRound = spent }
    if spent > 2 * usualRound + 1_000 { round.isSign = true }
    guard napLength.last > 0, !round.hasWork else { return }
    // A round that moved bytes says little of the usual one: only that it might be a bit longer than was thought.
    usualRound = round.isSign ? usualRound + usualRound / 64 + 1 : (15 * usualRound + spent) / 16
  }

  /// Looks for longer before it sleeps, after a sleep that ended too soon.
  private mutating func adapt(isTooSoon: Bool) {
    alertness = isTooSoon ? min(2 * alertness, Self.longestAlertness) : Self.shortestAlertness
  }

  private mutating func stayAwake(_ round: Round, now: UInt64) {
    napLength.end()
    if round.isSign {
      lastOffer = now
    } else if now &- lastOffer >= Self.patience {
      lastOffer = now
      Thread.yield()
    }
  }

  private mutating func rest(_ round: Round, now: UInt64) {
    let length = napLength.next(
      NapLength.Sight(
        served: round.served, rails: watches.count, isDrowsy: now &- lastSign >= Self.drowsiness,
        callers: progress.callers))
    // Where others are at work, completions are theirs to find.
    let end = sleep(nanoseconds: length, listening: round.served > 0 ? 0 : Self.longestListening)
    switch end {
    case .deafTime:
      return
    case .time:
      alertness = Self.shortestAlertness
      return
    case .call:
      alertness = Self.shortestAlertness
    case .rail(let index, let slept):
      adapt(isTooSoon: slept < NapLength.shortest)
      first = index
      guard watches[index].rail.passes.load(ordering: .relaxed) == watches[index].passes else {
        // It is the completion that a caller looks for, who wants the core more than this thread does.
        _ = sleep(nanoseconds: NapLength.shared, listening: 0)
        return
      }
      // Whom this answers may be waiting for this very core, and the other rails take longer to look at than this one.
      _ = watches[index].rail.drive(now: Clock.now)
      watches[index].passes = watches[index].rail.passes.load(ordering: .relaxed)
      Thread.yield()
    }
    lastSign = Clock.now
    napLength.end()
  }

  private func sleep(nanoseconds: UInt64, listening: UInt64) -> Nap.End {
    nap.sleep(nanoseconds: nanoseconds, listening: listening) { progress.isStopping }
  }
}
