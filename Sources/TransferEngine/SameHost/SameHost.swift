internal import Glibc
internal import Logging
internal import Memory
internal import Synchronization
internal import Wire

/// Transfers between this engine and others of the same host and user, without a NIC or a socket on their way: the
/// kernel copies from one process to the other, or memory that both have mapped is copied.
final class SameHost: Sendable {
  /// Which host it is, to be published.
  let host: String
  let copiers: Copiers
  private let guardPage: GuardPage
  private let board: Board
  private let watch: HostWatch
  private let logger: Logger
  private let state = Mutex(State())

  private enum Known {
    case met(Neighbour)
    /// Not to be tried again before this moment.
    case unmet(until: UInt64)
  }
  private struct State {
    var neighbours: [String: Known] = [:]
    var nextFile: UInt32 = 1
    var isClosed = false
  }

  /// Engines that are remembered.
  private static let limit = 1024
  /// Between two attempts to meet the same engine, in nanoseconds.
  private static let coolDown: UInt64 = 10_000_000_000
  /// Neighbours may take this long to leave, in nanoseconds.
  private static let patience: UInt64 = 5_000_000_000

  /// nil, with a line in the log, where the host does not have what it takes.
  init?(incarnation: String, logger: Logger) {
    guard let host = HostIdentity.current else {
      logger.info("/proc does not tell which host this is: engines on it are reached by the other ways")
      return nil
    }
    do throws(TransferError) {
      guardPage = try GuardPage()
      board = try Board()
      watch = try HostWatch(incarnation: incarnation, guardPage: guardPage, board: board, logger: logger)
    } catch {
      logger.warning("engines on this host are reached by the other ways: \(error)")
      return nil
    }
    self.host = host
    self.logger = logger
    copiers = Copiers(logger)
  }

  // MARK: Others' memory

  /// Whether the engine that published `descriptor` is on this host, as far as it says.
  func isHere(_ descriptor: SegmentDescriptor) -> Bool { descriptor.host == host }

  /// The way to the engine that published `descriptor`; nil where there is none within the host. The first time this
  /// connects, which may take as long as ``Neighbour/patience``.
  func neighbour(_ descriptor: SegmentDescriptor) -> Neighbour? {
    guard isHere(descriptor), let incarnation = descriptor.incarnation else { return nil }
    let known = state.withLock { state -> Known? in
      guard !state.isClosed else { return .unmet(until: .max) }
      return state.neighbours[incarnation]
    }
    switch known {
    case .met(let neighbour): return neighbour.isReachable ? neighbour : nil
    case .unmet(let until) where Clock.now < until: return nil
    case .unmet, nil: break
    }
    do throws(Neighbour.Obstacle) {
      let neighbour = try Neighbour.meet(incarnation, name: descriptor.name, guardPage: guardPage, log: logger)
      let outcome = state.withLock { state -> Neighbour? in
        guard !state.isClosed else { return nil }
        if case .met(let other) = state.neighbours[incarnation] { return other }
        if state.neighbours.count >= Self.limit { Self.forget(&state) }
        guard watch.add(neighbour) else { return nil }
        state.neighbours[incarnation] = .met(neighbour)
        return neighbour
      }
      if outcome === neighbour {
        logger.info("\(descriptor.name) is on this host, in process \(neighbour.process): it is reached directly")
      }
      return outcome
    } catch {
      state.withLock { state in
        if state.neighbours.count >= Self.limit { Self.forget(&state) }
        state.neighbours[incarnation] = .unmet(until: Clock.now &+ Self.coolDown)
      }
      logger.info("\(descriptor.name) is on this host, and is reached by the other ways: \(error.text)")
      return nil
    }
  }

  private static func forget(_ state: inout State) {
    state.neighbours = state.neighbours.filter { entry in
      if case .met(let neighbour) = entry.value { neighbour.isReachable } else { false }
    }
  }

  // MARK: Our memory

  /// Neighbours may use the region from now on, as its registration says.
  func publish(_ region: Region) {
    guard region.access != .none, region.use.pointee.gpu == nil else { return }
    let number = state.withLock { state in
      defer { state.nextFile &+= 1 }
      return state.nextFile
    }
    let file = ShareableMemory.file(behind: region.start, length: region.length)
    let fileNumber = file == nil ? 0 : number
    let entry = board.add(start: region.start, length: region.length, access: region.access, file: fileNumber)
    region.boardEntry = entry.map { Region.BoardEntry(index: $0, file: fileNumber) }
    // After the entry, which is what says that the file is of use.
    guard let file else { return }
    guard entry != nil else {
      Glibc.close(file.descriptor)
      return
    }
    watch.show(file.descriptor, number: number, base: file.base, length: file.length)
  }

  /// From now on no neighbour begins to use it. Those who have begun are returned.
  func withdraw(_ region: Region) -> HostWatch.Users {
    guard let entry = region.boardEntry else { return HostWatch.Users() }
    board.withdraw(entry.index)
    if entry.file != 0 { watch.hide(entry.file) }
    return watch.users
  }

  func haveLeft(_ users: inout HostWatch.Users) -> Bool { watch.haveLeft(&users) }

  /// The region is gone.
  func forget(_ region: Region) {
    guard let entry = region.boardEntry else { return }
    region.boardEntry = nil
    board.release(entry.index)
  }

  // MARK: The end

  /// Fails what waits; later calls of `submit` fail.
  func stop() { copiers.close() }

  /// Fails what waits, and ends our use of others' memory and theirs of ours. `regions` are those that are registered.
  /// Returns within seconds.
  func close(_ regions: [Region]) {
    let isFirst = state.withLock { state in
      defer { state.isClosed = true }
      return !state.isClosed
    }
    guard isFirst else { return }
    let deadline = Clock.now &+ Self.patience
    copiers.close()
    for region in regions { _ = withdraw(region) }
    var users = watch.users
    while !watch.haveLeft(&users), Clock.now < deadline { Thread.pause(microseconds: 100) }
    // Whoever stands still with a copy before him: without this page, none begins any more.
    guardPage.revoke()
    if !copiers.awaitEnd(until: deadline) { logger.warning("a copy within the host has not ended within 5 s") }
    watch.close(until: deadline)
    state.withLock { $0.neighbours = [:] }
  }
}
