internal import CFabric
internal import Synchronization

/// One NIC of a peer as one rail sees it: its entry in the address vector, and what waits for it or is on its way.
///
/// Belongs to the holder of the rail's baton, except ``isBroken``.
struct PeerLink: ~Copyable {
  /// The entry in the rail's address vector.
  let address: fi_addr_t
  /// The address itself.
  let bytes: [UInt8]
  /// Posted and not completed.
  var inFlight = 0
  /// The queue of requests that wait for credits, in order of submission.
  var head: WorkRequestPointer?
  var tail: WorkRequestPointer?
  /// The next link with a queue, while this one has one.
  var nextReady: UnsafeMutablePointer<PeerLink>?
  /// Whether it is in the rail's ring of links with a queue.
  var isReady = false
  /// Whether nobody plans for it any more: it goes with its last request.
  var isRetired = false
  /// Set when an operation failed: the next submission connects anew.
  let isBroken = Atomic<Bool>(false)
  /// What all links to the peer share.
  private let trouble: PeerTrouble

  init(address: fi_addr_t, bytes: [UInt8], trouble: PeerTrouble) {
    self.address = address
    self.bytes = bytes
    self.trouble = trouble
  }

  /// An operation has failed or did not come back in time.
  func markBroken() {
    isBroken.store(true, ordering: .relaxed)
    trouble.isNew.store(true, ordering: .relaxed)
  }

  var isIdle: Bool { inFlight == 0 && head == nil }
}

/// Whether a link to a peer broke since the engine looked after the peer last. What breaks one link, such as keys that
/// are no longer valid, mostly breaks them all, and one failed transfer is enough to find out.
final class PeerTrouble: Sendable {
  let isNew = Atomic<Bool>(false)
}

typealias PeerLinkPointer = UnsafeMutablePointer<PeerLink>
