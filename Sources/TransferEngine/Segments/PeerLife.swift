internal import Synchronization

/// One run of a peer's process, as far as we know.
final class PeerLife: Sendable {
  /// What the peer calls this run; nil for a peer that does not tell.
  let incarnation: String?
  private let stale = Atomic<Bool>(false)

  init(incarnation: String?) { self.incarnation = incarnation }

  /// Whether another run has been heard of under the peer's name. What is known of this one is not used any more then.
  var isStale: Bool { stale.load(ordering: .relaxed) }

  func markStale() { stale.store(true, ordering: .relaxed) }

  /// A number that no other run of any engine has.
  static func newIncarnation() -> String {
    var random = SystemRandomNumberGenerator()
    return (0..<2).map { _ in
      let digits = String(random.next() as UInt64, radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }.joined()
  }
}
