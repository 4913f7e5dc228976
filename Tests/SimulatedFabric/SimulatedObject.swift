import CFabric
import Synchronization

/// What stands behind a `fid`. Its fields are touched only under the lock of its network.
class SimulatedObject: @unchecked Sendable {
  enum Kind: String {
    case fabric
    case domain
    case endpoint
    case addressVector = "address vector"
    case completionQueue = "completion queue"
    case eventQueue = "event queue"
    case memoryRegion = "memory region"
  }

  let kind: Kind
  let network: Network
  /// The memory that the caller's pointer leads to.
  var handle: UnsafeMutableRawPointer?
  /// What has to stay open for as long as this is open.
  private var foundations: [SimulatedObject] = []
  /// What is open and needs this.
  private var dependents: [Kind: Int] = [:]

  init(_ kind: Kind, _ network: Network) {
    self.kind = kind
    self.network = network
  }

  /// The domain whose calls have to be serialised with this object's.
  var domain: SimulatedDomain? { nil }

  /// Why it cannot be closed, apart from its dependents.
  var obstacle: String? { nil }

  /// What is left to do when it is closed.
  func closed(_ state: inout Network.State) {}

  /// From now on the other has to stay open until this is closed.
  final func rest(on foundation: SimulatedObject) {
    foundations.append(foundation)
    foundation.dependents[kind, default: 0] += 1
  }

  /// `fi_close`.
  final func close(_ state: inout Network.State) -> Int32 {
    if let (other, count) = dependents.min(by: { $0.key.rawValue < $1.key.rawValue }) {
      state.violate("\(kind.rawValue) closed before \(count) \(other.rawValue)\(count == 1 ? "" : "s") that need it")
      return -FI_EBUSY
    }
    if let obstacle {
      state.violate("\(kind.rawValue) closed \(obstacle)")
      return -FI_EBUSY
    }
    for foundation in foundations {
      let left = (foundation.dependents[kind] ?? 1) - 1
      foundation.dependents[kind] = left == 0 ? nil : left
    }
    let left = (state.counters.openObjects[kind.rawValue] ?? 1) - 1
    state.counters.openObjects[kind.rawValue] = left == 0 ? nil : left
    closed(&state)
    return 0
  }
}

/// Runs the body of a call on the object behind a `fid`, under its network's lock. A call on an object that is closed,
/// or of another kind, and a call while another thread is inside the same domain, are violations.
func call<Object: SimulatedObject, Result>(
  _ fid: UnsafeMutableRawPointer?, as type: Object.Type, closed: Result,
  _ body: (Object, inout Network.State) -> Result
) -> Result {
  guard let fid else { return closed }
  guard let object = Handle.object(behind: fid) as? Object else {
    Handle.network(behind: fid)?.locked { $0.violate("\(Object.self) used after it was closed") }
    return closed
  }
  let domain = object.domain
  let wasInside = domain?.enter() ?? false
  defer { if !wasInside { domain?.leave() } }
  return object.network.locked { state in
    if wasInside { state.violate("two threads inside \(domain?.name ?? "") at once: \(object.kind.rawValue)") }
    return body(object, &state)
  }
}

/// `fi_close` of any kind of object.
func closeObject(_ fid: UnsafeMutablePointer<fid>?) -> Int32 {
  // The object is let go of only here, after the lock: it may be what keeps its network alive.
  var object: SimulatedObject?
  let result = call(fid, as: SimulatedObject.self, closed: -FI_EINVAL) {
    object = $0
    return $0.close(&$1)
  }
  if result == 0, let fid, object != nil { Handle.close(UnsafeMutableRawPointer(fid)) }
  return result
}
