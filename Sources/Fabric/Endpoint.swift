public import CFabric

/// The one endpoint of a NIC, shared by all peers, with the queues and the address vector that are bound to it.
///
/// The endpoint closes first: an address vector that closes before it faults inside some providers.
public struct Endpoint: ~Copyable, @unchecked Sendable {
  /// The endpoint, for libfabric's inline functions.
  public let raw: UnsafeMutablePointer<fid_ep>
  /// Where its operations complete.
  public let completions: CompletionQueue
  /// Where it reports what belongs to no operation; nil for a provider that cannot bind one.
  public let events: EventQueue?
  /// What peers have read and written through it; nil where the NIC needs nobody, or the provider does not count.
  public let remoteAccesses: RemoteAccessCounter?
  /// Whom it can send to.
  public let peers: AddressVector
  /// Its address, for peers: the raw bytes of `fi_getname`.
  public let address: [UInt8]
  /// Whether writes or reads are emulated in software; nil where the provider does not tell.
  public let isEmulated: Bool?
  private let domain: Domain

  /// Opens and enables an endpoint.
  ///
  /// - Parameters:
  ///   - completionQueueSize: Entries to ask for.
  ///   - addressCount: Peers to make room for.
  public init(_ domain: Domain, completionQueueSize: Int, addressCount: Int) throws(FabricError) {
    let library = domain.library
    let completions = try CompletionQueue(domain, minimumSize: completionQueueSize)
    let events = try EventQueue(domain)
    let peers = try AddressVector(domain, count: addressCount)
    let raw = try EnabledEndpoint(domain)
    try library.check("fi_ep_bind(address vector)", fi_ep_bind(raw.endpoint, &peers.raw.pointee.fid, 0))
    try library.check(
      "fi_ep_bind(completion queue)",
      fi_ep_bind(raw.endpoint, &completions.raw.pointee.fid, UInt64(FI_TRANSMIT) | UInt64(FI_RECV)))
    let bound = fi_ep_bind(raw.endpoint, &events.raw.pointee.fid, 0)
    if bound != 0, domain.offer.provider == "efa" { throw library.error("fi_ep_bind(event queue)", bound) }
    let remoteAccesses = RemoteAccessCounter(domain, boundTo: raw.endpoint)
    Self.forbidSidePaths(raw.endpoint)
    try library.check(
      "fi_enable", fi_enable(raw.endpoint),
      advice: "For EFA, check that the kernel driver and the user-space libraries belong together.")
    let address = try Self.name(of: raw.endpoint, library)
    let emulated = Self.emulation(of: raw.endpoint)

    self.raw = raw.release()
    self.completions = completions
    self.events = bound == 0 ? consume events : nil
    self.remoteAccesses = remoteAccesses
    self.peers = peers
    self.address = address
    isEmulated = emulated
    self.domain = domain
  }

  deinit { _ = fi_close(&raw.pointee.fid) }

  /// Keeps the EFA provider from its shared-memory side path, which copies by the CPU into whatever address it gets,
  /// and from calling CUDA behind the application's back. A library that does not know an option refuses it.
  private static func forbidSidePaths(_ endpoint: UnsafeMutablePointer<fid_ep>) {
    var permitted = false
    for option in [CFABRIC_OPT_SHARED_MEMORY_PERMITTED, CFABRIC_OPT_CUDA_API_PERMITTED] {
      _ = fi_setopt(
        &endpoint.pointee.fid, Int32(FI_OPT_ENDPOINT), Int32(option), &permitted, MemoryLayout<Bool>.size)
    }
  }

  private static func emulation(of endpoint: UnsafeMutablePointer<fid_ep>) -> Bool? {
    var answers: [Bool] = []
    for option in [CFABRIC_OPT_EFA_EMULATED_READ, CFABRIC_OPT_EFA_EMULATED_WRITE] {
      var emulated = false
      var size = MemoryLayout<Bool>.size
      if fi_getopt(&endpoint.pointee.fid, Int32(FI_OPT_ENDPOINT), Int32(option), &emulated, &size) == 0 {
        answers.append(emulated)
      }
    }
    return answers.isEmpty ? nil : answers.contains(true)
  }

  private static func name(
    of endpoint: UnsafeMutablePointer<fid_ep>, _ library: FabricLibrary
  ) throws(FabricError) -> [UInt8] {
    // The longest address of any provider is a few hundred bytes (shm's path); more would not fit a handshake sensibly.
    var address = [UInt8](repeating: 0, count: 1024)
    var size = address.count
    let result = address.withUnsafeMutableBytes { fi_getname(&endpoint.pointee.fid, $0.baseAddress, &size) }
    try library.check("fi_getname", result)
    guard size > 0, size <= address.count else { throw library.error("fi_getname", -FI_EINVAL) }
    address.removeLast(address.count - size)
    guard address.contains(where: { $0 != 0 }) else {
      throw FabricError(
        call: "fi_getname", code: 0, text: "the endpoint's address is all zero",
        advice: "The device has no address yet: check that its port is active.")
    }
    return address
  }
}

/// An endpoint on its way to be enabled, closed if that fails.
private struct EnabledEndpoint: ~Copyable {
  let endpoint: UnsafeMutablePointer<fid_ep>

  init(_ domain: Domain) throws(FabricError) {
    var raw: UnsafeMutablePointer<fid_ep>?
    try domain.library.check("fi_endpoint", fi_endpoint(domain.raw, domain.offer.info, &raw, nil))
    guard let raw else { throw domain.library.error("fi_endpoint", -FI_EINVAL) }
    endpoint = raw
  }

  consuming func release() -> UnsafeMutablePointer<fid_ep> {
    let endpoint = endpoint
    discard self
    return endpoint
  }

  deinit { _ = fi_close(&endpoint.pointee.fid) }
}
