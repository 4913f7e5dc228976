internal import Cuda
internal import Fabric
internal import Glibc
internal import Logging
internal import Memory
internal import Synchronization
internal import Topology

/// The registered memory of this engine.
final class LocalRegistry: Sendable {
  private struct State {
    /// What is registered; nil for what is being registered or withdrawn right now, which nobody else may take.
    var ranges = RangeMap<Region?>()
    /// What planning uses; made when it is asked for, so that registering 10,000 buffers is linear.
    var snapshot: LocalSnapshot?
    /// Earlier ones that somebody may still be planning with.
    var outdated: [Outdated] = []
    /// Registrations so far.
    var registrations: UInt64 = 0
    /// Not from 1 on: where the provider takes our keys, those of an earlier process under the same name would fit.
    var nextKey = UInt64.random(in: 1...1 << 30)

    /// The regions have changed.
    mutating func invalidate() {
      outdated.removeAll { $0.snapshot == nil }
      if let snapshot { outdated.append(Outdated(snapshot: snapshot)) }
      snapshot = nil
    }

    /// Sorted by address.
    var regions: [Region] {
      var regions: [Region] = []
      regions.reserveCapacity(ranges.count)
      ranges.forEach { if let region = $0.value { regions.append(region) } }
      return regions
    }
  }

  private struct Outdated {
    weak var snapshot: LocalSnapshot?
  }

  /// The limits that the settings put on registration.
  struct Limits: Sendable {
    /// The most bytes of one registration, before what the NIC's page table allows (`MC_MAX_MR_SIZE`).
    var maximumRegionSize: Int
    /// Register memory of a location only with the NICs near it (`MC_EFA_NIC_SELECTION=local`).
    var nearNICsOnly: Bool
    /// Whether NICs register at the same time: nil where the size of the buffer decides (`MC_ENABLE_PARALLEL_REG_MR`).
    var inParallel: Bool?
    /// A withdrawal waits this long for transfers that use the buffer, in nanoseconds.
    var withdrawalPatience: UInt64 = 30_000_000_000
  }

  private let state = Mutex(State())
  private let progress: Progress
  private let topology: LiveTopology
  private let limits: Limits
  /// What neighbours on this host are shown; nil where they have to come another way.
  private let sameHost: SameHost?
  private let logger: Logger

  private var rails: [Rail] { progress.rails }

  init(progress: Progress, topology: LiveTopology, limits: Limits, sameHost: SameHost? = nil, logger: Logger) {
    self.sameHost = sameHost
    self.progress = progress
    self.topology = topology
    self.limits = limits
    self.logger = logger
  }

  /// All of it, for planning.
  var snapshot: LocalSnapshot {
    state.withLock { state in
      if let snapshot = state.snapshot { return snapshot }
      let snapshot = LocalSnapshot(regions: state.regions) { rails(near: $0) }
      state.snapshot = snapshot
      return snapshot
    }
  }

  /// What peers get to see, in the order of its registration: what was registered first is what some peers ask for.
  /// What they may not touch is not shown.
  var published: [Region] {
    state.withLock { $0.regions }.filter { $0.access != .none }.sorted { $0.order < $1.order }
  }

  /// Holds the registration that a peer wants to use, if it may; it cannot be withdrawn until its count is given back.
  func beginUse(
    of address: UInt64, length: UInt64, for opcode: TransferOpcode
  ) -> UnsafeMutablePointer<RegionUse>? {
    // As for transfers of our own: a withdrawal first waits for whoever has the old snapshot, and then for the count.
    let snapshot = snapshot
    return withExtendedLifetime(snapshot) {
      let use = snapshot.use(of: address, length: length, for: opcode)
      use?.pointee.count.add(1, ordering: .relaxed)
      return use
    }
  }

  private func rails(near location: String) -> [Int] {
    let names = topology.current.preferred(for: location)
    return rails.indices.filter { names.contains(rails[$0].device) }
  }

  // MARK: Registration

  /// Registers `buffers`, all or none.
  func register(_ buffers: [BufferEntry], location: String, access: RemoteAccess) throws(TransferError) {
    var done: [Region] = []
    try reserve(buffers)
    do throws(TransferError) {
      for buffer in buffers { done.append(try register(buffer, location: location, access: access)) }
    } catch {
      for region in done { region.close(rails) }
      release(buffers)
      throw error
    }
    state.withLock { state in
      for region in done {
        state.registrations += 1
        region.order = state.registrations
        state.ranges[region.start] = region
        sameHost?.publish(region)
      }
      state.invalidate()
    }
  }

  private func reserve(_ buffers: [BufferEntry]) throws(TransferError) {
    try state.withLock { state throws(TransferError) in
      var added = 0
      do throws(TransferError) {
        for buffer in buffers {
          guard buffer.length > 0, buffer.address != 0 else {
            throw TransferError(.invalidArgument, "A buffer needs an address and a length of at least 1 byte.")
          }
          let (end, wraps) = buffer.address.addingReportingOverflow(UInt(buffer.length))
          guard !wraps else {
            throw TransferError(.invalidArgument, "The buffer \(Self.describe(buffer)) reaches past the last address.")
          }
          guard !state.ranges.overlaps(buffer.address..<end) else {
            throw TransferError(
              .addressOverlapped,
              "The buffer \(Self.describe(buffer)) overlaps one that is registered. Unregister that first.")
          }
          state.ranges.insert(buffer.address..<end, nil)
          added += 1
        }
      } catch {
        for buffer in buffers.prefix(added) { state.ranges.remove(buffer.address) }
        throw error
      }
    }
  }

  private func release(_ buffers: [BufferEntry]) {
    state.withLock { state in
      for buffer in buffers { state.ranges.remove(buffer.address) }
    }
  }

  private static func describe(_ buffer: BufferEntry) -> String {
    "of \(buffer.length) bytes at 0x\(String(buffer.address, radix: 16))"
  }

  private func register(
    _ buffer: BufferEntry, location: String, access: RemoteAccess
  ) throws(TransferError) -> Region {
    guard let address = UnsafeMutableRawPointer(bitPattern: buffer.address) else {
      throw TransferError(.invalidArgument, "A buffer needs an address.")
    }
    let driver = CUDADriver.mapped
    let placement = try Placement(buffer, location: location, driver: driver)
    let (place, gpu) = (placement.location, placement.gpu)
    guard !rails.isEmpty else {
      // Sockets reach all of a process's memory: there is nothing to map, and nothing to cut it for.
      let whole = Region.Chunk(start: buffer.address, length: buffer.length, keys: [])
      return Region(
        start: buffer.address, length: buffer.length, location: place, access: access, chunks: [whole], gpu: gpu)
    }
    if gpu != nil {
      try checkReach(buffer, placement)
      topology.learn(from: driver)
    }
    let plan: RegistrationPlan
    // Of a GPU's memory, whose pages the kernel does not show, the smallest are counted, which is the safe side.
    // Asking reads the map of the whole process, which takes long, and no buffer that is too small to be touched first
    // meets a NIC's page limit however small its pages are.
    let isAsked = gpu == nil && buffer.length >= Prefault.minimumLength
    let pageSize = isAsked ? PageSize.kernelPageSize(of: address) : PageSize.system
    do {
      plan = try RegistrationPlan(
        address: buffer.address, length: buffer.length, pageSize: pageSize,
        maximumRegionSize: limits.maximumRegionSize, nicCount: rails.count,
        preferredNICs: limits.nearNICsOnly
          ? topology.current.registrationNICs(for: place, among: rails.map(\.device)) : nil)
    } catch {
      throw TransferError(.context, "\(error)")
    }
    let processors = sysconf(Int32(_SC_NPROCESSORS_ONLN))
    let isLarge = Prefault.isWorthwhile(location: place, length: buffer.length, processors: processors)
    if isLarge {
      let threads = Prefault.threadCount(processors: processors)
      _ = Prefault.touch(address: address, length: buffer.length, pageSize: pageSize, threads: threads)
    }
    var chunks: [Region.Chunk] = []
    do {
      for chunk in plan.chunks {
        let inParallel = chunk.nics.count > 1 && (limits.inParallel ?? isLarge)
        let start = address + chunk.offset
        let keys = try register(
          start, length: chunk.length, access: access, gpu: gpu, nics: chunk.nics, inParallel: inParallel)
        chunks.append(Region.Chunk(start: UInt(bitPattern: start), length: chunk.length, keys: keys))
      }
    } catch {
      Region(start: buffer.address, length: buffer.length, location: place, access: access, chunks: chunks)
        .close(rails)
      throw TransferError(.context, "The buffer \(Self.describe(buffer)) could not be registered: \(error)")
    }
    return Region(
      start: buffer.address, length: buffer.length, location: place, access: access, chunks: chunks, gpu: gpu)
  }

  /// Throws if the NICs cannot have memory of a GPU.
  private func checkReach(_ buffer: BufferEntry, _ placement: Placement) throws(TransferError) {
    let what = "The buffer \(Self.describe(buffer)) is memory of a GPU (\(placement.location))"
    guard !placement.isManaged else {
      throw TransferError(
        .context,
        "\(what) that CUDA moves to the host and back (cudaMallocManaged), which no NIC can follow. Use cudaMalloc, or"
          + " host memory.")
    }
    guard let rail = rails.first(where: { !$0.domain.offer.reachesGPUMemory }) else { return }
    let provider = rail.domain.offer.provider
    let reason =
      provider != "efa"
      ? "Use provider efa, the transport TCP, or a buffer in host memory."
      : !ProviderSettings.mayUseCUDA
        ? "FI_HMEM keeps libfabric from CUDA. Unset it, and on a host that shows no GPU initialise CUDA before the first"
          + " engine; or use a buffer in host memory."
        : "Use the EFA installer's libfabric on an instance whose NICs reach its GPUs (fi_info -p efa -c FI_HMEM lists"
          + " them); or use a buffer in host memory."
    throw TransferError(
      .context, "\(what), which provider \(provider) does not reach on \(rail.device). \(reason)")
  }

  private func register(
    _ address: UnsafeMutableRawPointer, length: Int, access: RemoteAccess, gpu: CUDAContext?, nics: [Int],
    inParallel: Bool
  ) throws(FabricError) -> [RegisteredMemory?] {
    let place = UInt(bitPattern: address)
    let outcomes = Mutex<[Result<RegisteredMemory, FabricError>?]>(Array(repeating: nil, count: rails.count))
    let one: @Sendable (Int) -> Void = { [self] position in
      let nic = nics[position]
      let outcome: Result<RegisteredMemory, FabricError>
      do throws(FabricError) {
        outcome = .success(
          try registerOn(
            rails[nic], UnsafeMutableRawPointer(bitPattern: place), length: length, access: access, gpu: gpu))
      } catch {
        outcome = .failure(error)
      }
      outcomes.withLock { $0[nic] = outcome }
    }
    if inParallel {
      Parallel.forEach(nics.count, one)
    } else {
      for position in nics.indices { one(position) }
    }
    let results = outcomes.withLock { $0 }
    let keys = results.map { try? $0?.get() }
    for (rail, result) in zip(rails, results) {
      guard case .failure(let error) = result else { continue }
      for other in rails {
        _ = try? other.exclusively { () throws(FabricError) in keys[other.index]?.close() }
      }
      throw FabricError(
        call: "\(error.call) on \(rail.device)", code: error.code, text: error.text, advice: error.advice)
    }
    return keys
  }

  private func registerOn(
    _ rail: Rail, _ address: UnsafeMutableRawPointer?, length: Int, access: RemoteAccess, gpu: CUDAContext?
  ) throws(FabricError) -> RegisteredMemory {
    guard let address else {
      throw FabricError(call: "fi_mr_reg", code: EINVAL, text: "no address")
    }
    let key = state.withLock { state in
      defer { state.nextKey += 1 }
      return state.nextKey
    }
    func map() throws(FabricError) -> MemoryRegion {
      try MemoryRegion(
        rail.domain, address: address, length: length, cudaDevice: gpu?.ordinal, requestedKey: key,
        isReadableByPeers: access.allows(.read), isWritableByPeers: access.allows(.write))
    }
    // The provider asks CUDA about the memory, which needs its context on this thread, whichever it is.
    do {
      try gpu?.enter()
    } catch {
      throw FabricError(call: error.call, code: error.code, text: error.text, advice: error.advice)
    }
    defer { gpu?.leave() }
    return try rail.exclusively { () throws(FabricError) in
      let region = try map()
      guard region.key == 0 else { return RegisteredMemory(region) }
      // Peers read key 0 as "not registered". While this one is held, the provider has to choose another.
      let second = try map()
      guard second.key != 0 else {
        throw FabricError(
          call: "fi_mr_key", code: 0, text: "the provider gives every registration the key 0",
          advice: "Peers could not tell it from an unregistered buffer: use another provider.")
      }
      return RegisteredMemory(second)
    }
  }

  // MARK: Withdrawal

  /// Withdraws the buffer that was registered at `address`, once no transfer uses it any more.
  func unregister(_ address: UInt) throws(TransferError) {
    let taken = state.withLock { state -> (Region, [Outdated], HostWatch.Users)? in
      guard let found = state.ranges[address], let region = found else { return nil }
      // Its place stays taken until the NICs have let go of it.
      state.ranges[address] = .some(nil)
      state.invalidate()
      return (region, state.outdated, sameHost?.withdraw(region) ?? HostWatch.Users())
    }
    guard let (region, outdated, users) = taken else {
      throw TransferError(
        .addressNotRegistered, "No buffer is registered at 0x\(String(address, radix: 16)), so none can be withdrawn.")
    }
    var neighbours = users
    let deadline = Clock.now &+ limits.withdrawalPatience
    // Whoever plans with a snapshot that has the region may still submit; after that, the count says what is in use.
    while outdated.contains(where: { $0.snapshot != nil })
      || region.use.pointee.count.load(ordering: .acquiring) > 0
      || sameHost?.haveLeft(&neighbours) == false
    {
      let pass = progress.drive(now: Clock.now)
      // What peers do over TCP is not driven from here, and can take long.
      if pass.hadBaton || pass.progress > 0 { Thread.yield() } else { Thread.pause(microseconds: 100) }
      if Clock.now > deadline {
        restore(region)
        throw TransferError(
          .busy,
          "The buffer at 0x\(String(address, radix: 16)) is still being transferred after"
            + " \(limits.withdrawalPatience / 1_000_000_000) s and stays registered. Wait for its batches, and for those of"
            + " peers, then unregister it again.")
      }
    }
    state.withLock { _ in sameHost?.forget(region) }
    region.close(rails)
    state.withLock { $0.ranges.remove(address) }
  }

  private func restore(_ region: Region) {
    state.withLock { state in
      sameHost?.forget(region)
      sameHost?.publish(region)
      state.ranges[region.start] = region
      state.invalidate()
    }
  }

  /// Ends what neighbours on this host do with the memory. Returns within seconds.
  func closeToNeighbours() {
    guard let sameHost else { return }
    sameHost.close(state.withLock { $0.regions })
  }

  /// Withdraws everything; nothing is in flight any more.
  func unregisterAll() {
    let regions = state.withLock { state in
      defer { state = State() }
      return state.regions
    }
    for region in regions { region.close(rails) }
  }
}
