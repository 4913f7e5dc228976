internal import Fabric
internal import Metadata
internal import NIOCore
internal import Synchronization
internal import Wire

/// An engine at the other end: its NICs, and the links from our rails to them.
///
/// Known by the server name in its NIC paths, with the port: several engines on one host are several peers.
final class Peer: @unchecked Sendable {
  /// One of our rails and one of the peer's NICs.
  struct Pair: Hashable {
    let rail: Int
    let nic: Int
  }

  let name: String
  /// The peer's NICs, in the order of its descriptor.
  var nics: [String] { pairing.names }

  /// The links; while they are used by anybody but their peer, the peer must be held, and be planned with.
  struct Links {
    /// A link's address for each rail, to the NIC that it usually talks to; 0 where there is none.
    fileprivate let usual: UnsafeMutablePointer<Atomic<UInt>>
    /// The usual NIC of each rail.
    fileprivate let primary: UnsafeBufferPointer<Int>
    /// The same for every pair, rails x NICs; nil until a rail has a link to another NIC than the usual one, which is
    /// rare, and would be most of what a peer takes.
    fileprivate let others: UnsafeMutablePointer<Atomic<UInt>>?
    fileprivate let nicCount: Int

    /// The link from rail `rail` to NIC `nic`; nil where there is none that works.
    @inline(__always)
    func link(_ rail: Int, _ nic: Int) -> PeerLinkPointer? {
      guard let place = place(rail, nic) else { return nil }
      let bits = place.pointee.load(ordering: .sequentiallyConsistent)
      guard let link = PeerLinkPointer(bitPattern: bits), !link.pointee.isBroken.load(ordering: .relaxed) else {
        return nil
      }
      return link
    }

    /// Whether there was one that does not work any more.
    fileprivate func isBroken(_ rail: Int, _ nic: Int) -> Bool {
      guard let bits = place(rail, nic)?.pointee.load(ordering: .sequentiallyConsistent) else { return false }
      return PeerLinkPointer(bitPattern: bits)?.pointee.isBroken.load(ordering: .relaxed) ?? false
    }

    @inline(__always)
    fileprivate func place(_ rail: Int, _ nic: Int) -> UnsafeMutablePointer<Atomic<UInt>>? {
      if primary[rail] == nic { return usual + rail }
      return others.map { $0 + (rail &* nicCount &+ nic) }
    }
  }

  var links: Links {
    Links(
      usual: usual, primary: pairing.primary,
      others: UnsafeMutablePointer(bitPattern: others.load(ordering: .sequentiallyConsistent)), nicCount: nics.count)
  }
  private let pairing: PeerNICs
  private let usual: UnsafeMutablePointer<Atomic<UInt>>
  /// The address of a table that is made when it is needed, and stays.
  private let others = Atomic<UInt>(0)
  /// The run of the peer's process that this is about.
  let life: PeerLife
  private let rails: [Rail]
  /// Threads that plan with ``links`` right now: what they may have seen is not taken away under them.
  private let planners = Atomic<Int>(0)
  /// Held while links are made, so that threads which all want the same peer ask it once. Only callers of this engine
  /// ever hold it: a handshake that comes in is answered without.
  private let connecting = Mutex(Contact())

  /// What is known of the peer besides its links.
  private struct Contact {
    /// How the last attempt to make links ended, and when.
    var failure: TransferError?
    var finished: UInt64 = 0
    /// The addresses of its NICs, in their order, if it has told them and not all have a link.
    var addresses: [[UInt8]?]?
  }

  /// What the peer has told of its NICs' addresses with its descriptor, in their order, and when.
  private struct News {
    let addresses: [[UInt8]?]
    let time: UInt64
  }
  private let news = Mutex<News?>(nil)
  /// For so long it counts as much as the answer to a handshake, in nanoseconds. Later the peer may have been restarted,
  /// which nobody would notice where there is no link that breaks.
  private static let newsAge: Int64 = 100_000_000

  /// Whether a link broke since ``takeTrouble()`` was called last.
  @inline(__always)
  var isInTrouble: Bool { trouble.isNew.load(ordering: .relaxed) }
  /// Where a link broke, the others are not to be trusted either: they lead to the same process, which may be gone.
  func takeTrouble() -> Bool {
    guard trouble.isNew.exchange(false, ordering: .relaxed) else { return false }
    beginPlanning()
    defer { endPlanning() }
    for rail in rails.indices {
      for nic in nics.indices { links.link(rail, nic)?.pointee.isBroken.store(true, ordering: .relaxed) }
    }
    return true
  }
  /// What was taken could not be mended.
  func returnTrouble() { trouble.isNew.store(true, ordering: .relaxed) }
  private let trouble = PeerTrouble()

  init(name: String, nics: PeerNICs, rails: [Rail], life: PeerLife) {
    self.life = life
    self.name = name
    self.rails = rails
    pairing = nics
    usual = Self.makeTable(rails.count)
  }

  private static func makeTable(_ count: Int) -> UnsafeMutablePointer<Atomic<UInt>> {
    let table = UnsafeMutablePointer<Atomic<UInt>>.allocate(capacity: max(1, count))
    for index in 0..<count { (table + index).initialize(to: Atomic(0)) }
    return table
  }

  /// Nobody plans any more: planners hold the peer.
  deinit {
    for rail in rails {
      for nic in nics.indices { replace(Pair(rail: rail.index, nic: nic), by: nil) }
    }
    usual.deallocate()
    links.others?.deallocate()
  }

  /// From here to ``endPlanning()``, links that were found in ``links`` stay valid.
  func beginPlanning() { planners.add(1, ordering: .sequentiallyConsistent) }
  func endPlanning() { planners.subtract(1, ordering: .sequentiallyConsistent) }

  /// How many of `pairs` are connected.
  func connected(_ pairs: [Pair]) -> Int {
    beginPlanning()
    defer { endPlanning() }
    return pairs.count { links.link($0.rail, $0.nic) != nil }
  }

  /// The peer has told the addresses of its NICs, by name. Never waits.
  ///
  /// - Parameter time: When, in nanoseconds of the monotonic clock.
  func tell(_ addresses: [String: [UInt8]], at time: UInt64 = Clock.now) {
    let news = News(addresses: nics.map { addresses[$0] }, time: time)
    self.news.withLock { $0 = news }
  }

  private func takeNews() -> [[UInt8]?]? {
    let news = news.withLock { news in
      defer { news = nil }
      return news
    }
    // Signed, so that a time which is later than now does not look old.
    return news.flatMap { Int64(bitPattern: Clock.now &- $0.time) < Self.newsAge ? $0.addresses : nil }
  }

  /// Makes those of the links `pairs` that do not exist or are broken.
  ///
  /// A Moonrail peer tells the addresses of all its NICs in one handshake, or has just told them with its descriptor; any
  /// other is asked for each pair, all at once.
  ///
  /// - Parameter needed: Those that a transfer waits for. The others are left for later where all works and nobody has to
  ///   be asked again for them: the first small transfer need not wait for every NIC.
  func connect(
    _ pairs: [Pair], needed: [Pair], from local: LocalIdentity, by client: HandshakeClient
  ) throws(TransferError) {
    let asked = Clock.now
    try connecting.withLock { contact throws(TransferError) in
      // Who has waited for somebody else's attempt takes its outcome: a peer that does not answer costs everybody one
      // deadline, not one after the other.
      if let failure = contact.failure, contact.finished >= asked { throw failure }
      do throws(TransferError) {
        try connectMissing(pairs, needed, &contact, from: local, by: client)
        contact.failure = nil
      } catch {
        contact = Contact(failure: error, finished: Clock.now)
        throw error
      }
    }
  }

  private func connectMissing(
    _ pairs: [Pair], _ needed: [Pair], _ contact: inout Contact, from local: LocalIdentity, by client: HandshakeClient
  ) throws(TransferError) {
    beginPlanning()
    let links = links
    let missing = pairs.filter { links.link($0.rail, $0.nic) == nil }
    let isBroken = rails.indices.contains { rail in nics.indices.contains { links.isBroken(rail, $0) } }
    endPlanning()
    // Where one broke there may be another process by now, with other addresses.
    if isBroken { contact.addresses = nil }
    let wanted = isBroken ? missing : missing.filter { needed.contains($0) }
    guard let first = wanted.first else { return }
    let news = takeNews()
    let addresses: [[UInt8]?]
    if let told = contact.addresses ?? (isBroken ? nil : news) {
      addresses = told
    } else {
      let reply = try ask(for: first, from: local, by: client)
      guard let told = reply.nicAddresses else {
        try insert(reply.efaAddress, for: first)
        return try connectEach(missing.filter { $0 != first }, from: local, by: client)
      }
      addresses = nics.map { told[$0] }
    }
    for pair in wanted {
      guard let address = addresses[pair.nic] else {
        throw TransferError(
          .handshakeRejected, "\(name) did not tell the address of its NIC \(nics[pair.nic]). Open it again.")
      }
      try insert(address, for: pair)
    }
    contact.addresses = wanted.count < missing.count ? addresses : nil
  }

  private func ask(
    for pair: Pair, from local: LocalIdentity, by client: HandshakeClient
  ) throws(TransferError) -> ConnectionMessage {
    let reply: ConnectionMessage
    do throws(MetadataError) {
      reply = try client.connect(local.request(from: pair.rail, to: path(pair.nic)), to: name)
    } catch {
      throw TransferError(error)
    }
    try check(reply)
    return reply
  }

  /// By a handshake for each pair, all at once.
  private func connectEach(
    _ pairs: [Pair], from local: LocalIdentity, by client: HandshakeClient
  ) throws(TransferError) {
    let asked = pairs.map { pair in
      (pair, client.connecting(local.request(from: pair.rail, to: path(pair.nic)), to: name))
    }
    var failure: TransferError?
    for (pair, future) in asked {
      do throws(TransferError) {
        let reply: ConnectionMessage
        do {
          reply = try future.wait()
        } catch {
          throw TransferError(metadata: error, peer: name)
        }
        try check(reply)
        try insert(reply.efaAddress, for: pair)
      } catch {
        failure = failure ?? error
      }
    }
    if let failure { throw failure }
  }

  /// A link to another run would reach memory that the snapshot says nothing about, under keys that may fit by chance.
  private func check(_ reply: ConnectionMessage) throws(TransferError) {
    guard reply.incarnation != life.incarnation else { return }
    life.markStale()
    throw TransferError(
      .peerRestarted,
      "\(name) was restarted: what it had published before does not hold any more. Try again when it has registered its"
        + " memory.")
  }

  private func path(_ nic: Int) -> NICPath { NICPath(server: name, device: nics[nic]) }

  private func insert(_ address: [UInt8], for pair: Pair) throws(TransferError) {
    guard address.contains(where: { $0 != 0 }) else {
      throw TransferError(
        .handshakeRejected, "\(name) told no address for its NIC \(nics[pair.nic]). Check that its device is up.")
    }
    do {
      // Created under the baton and known to nobody else yet.
      let link = try rails[pair.rail].control { state throws(FabricError) in
        UInt(bitPattern: try state.connect(address, trouble))
      }
      replace(pair, by: link)
    } catch {
      throw TransferError(.endpoint, "\(path(pair.nic)) cannot be reached from \(rails[pair.rail].device): \(error)")
    }
  }

  private func replace(_ pair: Pair, by link: UInt?) {
    var place = links.place(pair.rail, pair.nic)
    if place == nil, link != nil {
      // Only whoever holds `connecting` comes here.
      let table = Self.makeTable(rails.count * nics.count)
      others.store(UInt(bitPattern: table), ordering: .sequentiallyConsistent)
      place = table + (pair.rail * nics.count + pair.nic)
    }
    guard let place else { return }
    let old = place.pointee.exchange(link ?? 0, ordering: .sequentiallyConsistent)
    guard let old = PeerLinkPointer(bitPattern: old) else { return }
    // Planning is short and never waits, so this is.
    while planners.load(ordering: .sequentiallyConsistent) > 0 { Thread.yield() }
    do {
      try rails[pair.rail].control { state throws(FabricError) in state.retire(old) }
    } catch {
      // A rail that is closed has settled all of its requests: nobody else knows the link. A rail that hangs may still
      // use it, so it stays.
      guard rails[pair.rail].isClosed else { return }
      old.deinitialize(count: 1)
      old.deallocate()
    }
  }
}
