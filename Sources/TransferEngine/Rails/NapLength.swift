/// How long a progress thread sleeps where only time ends its sleep: each nap twice as long as the one before, up to a limit
/// that says how soon somebody may need it.
struct NapLength {
  /// The last nap, in nanoseconds; 0 where the thread has been awake since.
  private(set) var last: UInt64 = 0
  /// Which callers were at work when that nap began.
  private var callers: Int?

  /// The first nap, in nanoseconds.
  static let shortest: UInt64 = 50_000
  /// The first nap of a thread some of whose rails others see to, in nanoseconds. Each look at the others may cost a software
  /// NIC's peer the core, so the next naps are longer here too.
  static let shared: UInt64 = 200_000
  /// The longest while the last sign is less than ``ProgressThread``'s drowsiness ago, or while callers see to a rail.
  static let longest: UInt64 = 1_000_000
  /// The longest of all: of a thread that nobody has needed for long, or beside a caller that is at one transfer for long and
  /// sees to every rail. Waking up takes some 30 us of the core that this caller, or on a single host its peer, has otherwise.
  static let longestSleep: UInt64 = 5_000_000

  /// What the thread has seen in its last round.
  struct Sight {
    /// Rails that others see to, and rails in all.
    var served: Int
    var rails: Int
    /// Whether the last sign of work is long ago.
    var isDrowsy: Bool
    /// A number that stays the same while the same callers are at work; nil where none is (``Progress/callers``).
    var callers: Int?
  }

  /// The next nap, in nanoseconds.
  mutating func next(_ sight: Sight) -> UInt64 {
    let isSuperfluous = sight.served == sight.rails && sight.callers != nil && sight.callers == callers
    callers = sight.callers
    guard !isSuperfluous || last < Self.longest else {
      last = Self.longestSleep
      return last
    }
    let isShared = sight.served > 0 && sight.served < sight.rails
    last = min(
      max(2 * last, isShared ? Self.shared : Self.shortest),
      sight.isDrowsy && sight.served == 0 ? Self.longestSleep : Self.longest)
    return last
  }

  /// The thread is awake.
  mutating func end() { last = 0 }
}
