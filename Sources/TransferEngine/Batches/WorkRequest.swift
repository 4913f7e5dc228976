internal import CFabric

/// One operation on one rail: what is posted to the NIC, and what to do when it completes.
///
/// It lives in the slab of its batch from submission to completion and is its own libfabric context, so that an
/// operation costs no allocation and no look-up. While it waits it is linked into queues through ``next``.
struct WorkRequest {
  /// The provider's scratch space. First, because its address is what libfabric gets and gives back.
  var context: fi_context2
  /// The next in the submission chain, in a link's queue, or in flight.
  var next: UnsafeMutablePointer<WorkRequest>?
  /// The one before, while in flight.
  var previous: UnsafeMutablePointer<WorkRequest>?
  /// The batch that it belongs to.
  var batch: UnsafeMutablePointer<Batch>
  /// The peer's NIC that it goes to. Not there for requests over TCP, nor are the descriptor and the key. Within the
  /// host the descriptor is where the peer's memory is mapped here, and the key its entry on the board.
  var link: UnsafeMutablePointer<PeerLink>
  /// The local registration that it uses.
  var use: UnsafeMutablePointer<RegionUse>
  /// The local memory.
  var local: UnsafeMutableRawPointer?
  /// The local registration's descriptor on its rail.
  var descriptor: UnsafeMutableRawPointer?
  /// The remote address, in the form that the provider wants: a virtual address or an offset.
  var remote: UInt64
  /// The remote registration's key.
  var key: UInt64
  /// Bytes.
  var length: Int
  /// When to give up, in nanoseconds of the monotonic clock.
  var deadline: UInt64
  /// The task in the batch; the first of them, if it carries out several.
  var task: Int32
  /// How many tasks it carries out, one after the other in the batch. The lengths of those after the first are in their
  /// own places of the slab, which nothing else uses then.
  var taskCount: Int32
  /// The direction.
  var opcode: TransferOpcode
  /// Whether the task is more than this request, so that its parts have to be counted.
  var isPart: Bool
  /// Whether its deadline passed while the provider had it: it is settled, and only its credit is still out.
  var isAbandoned: Bool
  /// Whether the local memory is a GPU's; of requests over TCP, whose bytes then take a detour.
  var isOnGPU: Bool
  /// What was tried for it before; of requests over TCP.
  var retries: StreamRetries
}

/// Second chances that a request over TCP has had. There is one of each kind.
struct StreamRetries: OptionSet {
  let rawValue: UInt8
  /// It was sent on a connection that turned out to be closed.
  static let connection = StreamRetries(rawValue: 1)
  /// It was meant for an engine that is elsewhere, or another, by now.
  static let peer = StreamRetries(rawValue: 2)
}

typealias WorkRequestPointer = UnsafeMutablePointer<WorkRequest>
