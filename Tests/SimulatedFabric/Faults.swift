public import CFabric
import Synchronization

/// Something that goes wrong with operations, all of them or some.
public struct Fault: Sendable {
  /// What happens to an operation.
  public enum Effect: Sendable, Equatable {
    /// The post is refused with `-FI_EAGAIN`.
    case refuse
    /// The operation moves no bytes and ends in an error entry with these numbers.
    case fail(error: Int32, providerError: Int32)
    /// The bytes are moved, but the completion never arrives. The provider's slot is free again.
    case lose
    /// The operation waits, and keeps its slot, until it is released.
    case hold
  }

  /// Which operations.
  public enum Scope: Sendable, Equatable {
    case everything
    /// Those posted on a NIC, by its number.
    case nic(Int)
    /// Those posted on an endpoint, by its number in ``FabricCounters/endpoints``.
    case endpoint(Int)
    /// Those addressed to an endpoint, by its number in ``FabricCounters/endpoints``.
    case destination(Int)
  }

  /// What happens.
  public var effect: Effect
  /// To which operations.
  public var scope: Scope
  /// How likely it happens to each of them.
  public var probability = 1.0
  /// How many more times it happens; nil is for ever.
  public var remaining: Int?

  /// A fault that always happens to every operation in its scope.
  public init(_ effect: Effect, _ scope: Scope = .everything) {
    self.effect = effect
    self.scope = scope
  }

  /// It happens always and for ever, so also to operations that are in flight already.
  var isStanding: Bool { probability >= 1 && remaining == nil }
}

/// What a simulated network does to the operations on it. May be changed at any time.
public struct Faults: Sendable {
  /// Operations that can complete do so in random order.
  public var reorder = false
  /// How many polls of its completion queue an operation takes beyond the first.
  public var completionDelay: ClosedRange<UInt64> = 0...0
  /// How many of the next memory registrations are refused with `-FI_ENOMEM`.
  public var refusedRegistrations = 0
  /// How many of the next endpoints are refused with `-FI_ENOMEM` when they are opened.
  public var refusedEndpoints = 0
  /// How many of the next endpoints are refused with `-FI_EIO` when they are enabled.
  public var refusedEnablings = 0
  /// What goes wrong. The first rule that applies to an operation decides.
  public var rules: [Fault] = []
  /// Changes whenever held operations are released; new faults start with a value of their own, so that setting them
  /// releases what the old ones held.
  private(set) var period = Self.nextPeriod()

  /// No faults: in order, at the next poll.
  public init() {}

  /// Refuses posts with `-FI_EAGAIN`: the next `count`, or each with a probability.
  public mutating func refuse(
    _ scope: Fault.Scope = .everything, next count: Int? = nil, probability: Double = 1
  ) {
    add(.refuse, scope, count, probability)
  }

  /// Lets operations end in an error: the next `count`, or each with a probability.
  public mutating func fail(
    _ scope: Fault.Scope = .everything, next count: Int? = nil, probability: Double = 1,
    error: Int32 = FI_EIO, providerError: Int32 = ProviderError.unresponsiveRemote
  ) {
    add(.fail(error: error, providerError: providerError), scope, count, probability)
  }

  /// Loses completions: the next `count`, or each with a probability.
  public mutating func lose(
    _ scope: Fault.Scope = .everything, next count: Int? = nil, probability: Double = 1
  ) {
    add(.lose, scope, count, probability)
  }

  /// A black hole: operations are not completed until ``release()``; the next `count`, each with a probability, or,
  /// without either, all of them and those in flight too.
  public mutating func hold(
    _ scope: Fault.Scope = .everything, next count: Int? = nil, probability: Double = 1
  ) {
    add(.hold, scope, count, probability)
  }

  /// The death of a NIC, an endpoint or a destination: every operation ends in an error, those in flight too. Comes
  /// before all other rules, black holes included.
  public mutating func kill(_ scope: Fault.Scope) {
    rules.insert(Fault(.fail(error: FI_EIO, providerError: ProviderError.unresponsiveRemote), scope), at: 0)
  }

  /// Brings back what was killed in exactly this scope.
  public mutating func revive(_ scope: Fault.Scope) {
    rules.removeAll { rule in
      guard case .fail = rule.effect else { return false }
      return rule.scope == scope
    }
  }

  /// Ends every black hole; what was held completes at the next poll.
  public mutating func release() {
    rules.removeAll { $0.effect == .hold }
    period = Self.nextPeriod()
  }

  private static let periods = Atomic<UInt64>(0)
  private static func nextPeriod() -> UInt64 { periods.wrappingAdd(1, ordering: .relaxed).newValue }

  private mutating func add(_ effect: Fault.Effect, _ scope: Fault.Scope, _ count: Int?, _ probability: Double) {
    var fault = Fault(effect, scope)
    fault.remaining = count
    fault.probability = probability
    rules.append(fault)
  }
}
