/// What happened on a simulated network so far.
public struct FabricCounters: Sendable {
  /// What happened on a NIC or an endpoint.
  public struct Traffic: Sendable, Equatable {
    /// Operations that were accepted.
    public var posts = 0
    /// Operations that ended well, and whose completion was produced.
    public var completions = 0
    /// Operations that ended in an error entry.
    public var errors = 0
    /// Operations whose completion was lost on purpose.
    public var lost = 0
    /// Posts that were refused with `-FI_EAGAIN`.
    public var refusals = 0
    /// Bytes that were moved.
    public var bytes = 0
    /// The most operations that one endpoint had in flight, which is until the completion is read.
    public var maximumInFlight = 0
  }

  /// An endpoint, open or closed.
  public struct Endpoint: Sendable, Equatable {
    /// Its number, in order of opening; what ``Fault/Scope`` means by an endpoint or a destination.
    public var number: Int
    /// The NIC that it was opened on.
    public var nic: Int
    /// Which `fi_fabric` call of the network it came from, in order: tells one engine's endpoints from another's.
    public var fabric: Int
    /// What `fi_getname` answers.
    public var address: [UInt8]
    /// It has not been closed.
    public var isOpen = true
    /// Operations in flight now.
    public var inFlight = 0
    /// What happened on it.
    public var traffic = Traffic()
    /// The values of its options.
    public var options: [Int32: [UInt8]]
  }

  /// By NIC number.
  public var nics: [Traffic]
  /// In order of opening.
  public var endpoints: [Endpoint] = []
  /// What an engine did that a provider need not put up with, in words. A test asserts that this is empty.
  public var violations: [String] = []
  /// Objects that are open, by kind (`"endpoint"`, `"memory region"`). Empty once an engine has closed everything.
  public var openObjects: [String: Int] = [:]
  /// Memory registrations that were made.
  public var registrations = 0
  /// The GPUs, by CUDA's number, whose memory was registered, in order.
  public var registeredGPUs: [Int] = []
}
