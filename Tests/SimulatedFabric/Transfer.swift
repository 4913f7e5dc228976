import CFabric

/// A piece of local memory.
struct Segment {
  var start: UnsafeMutableRawPointer?
  var count: Int
}

/// What a caller posts.
struct TransferRequest {
  /// The most local segments of one operation.
  static let segmentLimit = 4

  enum Direction {
    case read
    case write
  }

  var direction: Direction
  var segments: [Segment]
  /// One per segment, or none.
  var descriptors: [UnsafeMutableRawPointer?]
  var destination: fi_addr_t
  var remoteAddress: UInt64
  var key: UInt64
  var context: UnsafeMutableRawPointer?
  /// A completion was asked for, on an endpoint where one has to ask.
  var isSignaled = false
  /// The buffer is the caller's again at once, and there is no completion.
  var isInjected = false

  var count: Int { segments.reduce(0) { $0 + $1.count } }
  /// As completion entries report it.
  var flags: UInt64 { FI_RMA | (direction == .read ? FI_READ : FI_WRITE) }
  var localAccess: UInt64 { direction == .read ? FI_READ : FI_WRITE }
  var remoteAccess: UInt64 { direction == .read ? FI_REMOTE_READ : FI_REMOTE_WRITE }
}

/// An operation in flight.
struct Transfer {
  /// How it is decided to end, faults that come later apart.
  enum Fate {
    case success
    case failure(CompletionError)
    /// It ends well, but nobody is told.
    case lost
  }

  var request: TransferRequest
  /// Where the operation goes, which stays so when the address is removed.
  var target: EndpointAddress
  var wantsCompletion: Bool
  var fate = Fate.success
  /// The poll of the completion queue from which on it can complete.
  var readyAt: UInt64
  /// It waits for as long as this is the period of the faults.
  var heldIn: UInt64?
  var regions: [SimulatedRegion] = []
  /// What was injected.
  var copy: UnsafeMutableRawPointer?
}

/// The numbers in an error entry.
struct CompletionError {
  var error: Int32
  var providerError: Int32
}
