internal import CLinux
internal import Glibc
internal import Logging

/// The thread that receives an engine's neighbours, and that learns of their end: it sleeps until something happens.
final class HostWatch: @unchecked Sendable {
  /// A neighbour that reaches our memory, or is about to.
  private final class Visitor {
    let socket: Int32
    let since: UInt64
    /// Both from when it has been let in.
    var processFile: Int32 = -1
    var slots: Slots?

    init(_ socket: Int32) {
      self.socket = socket
      since = Clock.now
    }

    deinit {
      if processFile >= 0 { Glibc.close(processFile) }
      Glibc.close(socket)
    }
  }

  private struct ShownFile {
    let descriptor: Int32
    let news: NeighbourMessages.News
  }

  /// Neighbours that are let in.
  private static let visitorLimit = 1024
  /// Until one says who it is, in nanoseconds.
  private static let grace: UInt64 = 5_000_000_000

  private let listener: Int32
  private let wakeUp: [Int32]
  private let life: NeighbourMessages.Life
  private let guardPage: GuardPage
  private let board: Board
  private let log: EventLog
  private let monitor = Monitor()
  private let ended: Condition
  // These belong to the holder of the monitor.
  private var visitors: [Visitor] = []
  private var hosts: [Neighbour] = []
  private var files: [UInt32: ShownFile] = [:]
  private var isClosed = false
  private var isRunning = false

  init(incarnation: String, guardPage: GuardPage, board: Board, logger: Logger) throws(TransferError) {
    guard let (socketAddress, length) = HostIdentity.address(incarnation) else {
      throw TransferError(.socket, "No local socket: its name is too long.")
    }
    var address = socketAddress
    let listener = socket(
      AF_UNIX, Int32(SOCK_SEQPACKET.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue), 0)
    var ends: [Int32] = [-1, -1]
    let isOpen = listener >= 0 && pipe(&ends) == 0
    for end in ends where end >= 0 {
      _ = fcntl(end, F_SETFD, FD_CLOEXEC)
      _ = fcntl(end, F_SETFL, O_NONBLOCK)
    }
    self.listener = listener
    wakeUp = ends
    let result = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(listener, $0, length) }
    }
    life = NeighbourMessages.Life(incarnation)
    self.guardPage = guardPage
    self.board = board
    log = EventLog(logger)
    ended = Condition(monitor)
    guard isOpen, result == 0, Glibc.listen(listener, SOMAXCONN) == 0 else {
      let reason = StreamSocket.describe(errno)
      for file in [listener] + ends where file >= 0 { Glibc.close(file) }
      throw TransferError(.socket, "No local socket for neighbours on this host: \(reason).")
    }
    isRunning = true
    do throws(TransferError) {
      try Thread(name: "moonrail-host", stackSize: 512 << 10) { [self] in run() }.detach()
    } catch {
      for file in [listener] + ends { Glibc.close(file) }
      throw error
    }
  }

  // MARK: The thread

  private enum Source {
    case listener
    case wakeUp
    case visitor(Visitor)
    case host(Neighbour)
  }

  private func run() {
    while true {
      var sources: [Source] = []
      var polled: [pollfd] = []
      func watch(_ file: Int32, _ source: Source) {
        polled.append(pollfd(fd: file, events: Int16(POLLIN), revents: 0))
        sources.append(source)
      }
      monitor.lock()
      guard !isClosed else { break }
      watch(listener, .listener)
      watch(wakeUp[0], .wakeUp)
      for visitor in visitors {
        watch(visitor.socket, .visitor(visitor))
        if visitor.processFile >= 0 { watch(visitor.processFile, .visitor(visitor)) }
      }
      for host in hosts {
        watch(host.socket, .host(host))
        watch(host.processFile, .host(host))
      }
      let hasStrangers = visitors.contains { $0.slots == nil }
      monitor.unlock()
      let count = poll(&polled, nfds_t(polled.count), hasStrangers ? 1000 : -1)
      if count < 0, errno != EINTR { Thread.pause(microseconds: 20_000) }
      for (index, source) in sources.enumerated() where count > 0 && polled[index].revents != 0 {
        switch source {
        case .listener: accept()
        case .wakeUp:
          var bytes = [UInt8](repeating: 0, count: 64)
          while read(wakeUp[0], &bytes, bytes.count) > 0 {}
        case .visitor(let visitor): hear(visitor, isProcess: polled[index].fd == visitor.processFile)
        case .host(let host): listen(to: host, isProcess: polled[index].fd == host.processFile)
        }
      }
      if hasStrangers { dismissStrangers() }
    }
    isRunning = false
    ended.broadcast()
    monitor.unlock()
  }

  /// Has the thread look at its lists again.
  private func wake() {
    var byte: UInt8 = 1
    _ = write(wakeUp[1], &byte, 1)
  }

  // MARK: Neighbours that reach our memory

  private func accept() {
    while true {
      let socket = clinux_accept(listener)
      guard socket >= 0 else {
        // The connection stays in the queue until there is room.
        if [EMFILE, ENFILE, ENOMEM].contains(errno) { Thread.pause(microseconds: 20_000) }
        return
      }
      let visitor = Visitor(socket)
      monitor.lock()
      let isFull = visitors.count >= Self.visitorLimit
      if !isFull { visitors.append(visitor) }
      monitor.unlock()
      if isFull { refuse(visitor, .full) }
    }
  }

  private func dismissStrangers() {
    let now = Clock.now
    monitor.lock()
    visitors.removeAll { $0.slots == nil && now &- $0.since > Self.grace }
    monitor.unlock()
  }

  private func hear(_ visitor: Visitor, isProcess: Bool) {
    guard visitor.slots == nil else {
      // Nothing is said after the greeting: it is the end, of the connection or of the process.
      return dismiss(visitor)
    }
    var bytes = [UInt8](repeating: 0, count: MemoryLayout<NeighbourMessages.Hello>.size + 1)
    let count = recv(visitor.socket, &bytes, bytes.count, StreamSocket.dontWait)
    if count < 0, errno == EAGAIN || errno == EINTR { return }
    guard count > 0,
      let hello = NeighbourMessages.decode(Array(bytes[0..<count]), as: NeighbourMessages.Hello.self),
      hello.magic == BoardLayout.magic, hello.version == NeighbourMessages.version
    else { return dismiss(visitor) }
    guard hello.life == life else { return refuse(visitor, .otherLife) }
    let process: Int32
    do {
      let (number, file) = try Neighbour.identify(visitor.socket)
      process = number
      visitor.processFile = file
    } catch {
      log.warning("a process of this host was not let in as a neighbour: \(error.text)")
      return refuse(visitor, .unreachable)
    }
    // With the file open before: whoever shows the token now has had the number since.
    guard GuardWord.isThere(process, UInt(truncatingIfNeeded: hello.guardAddress), hello.token) else {
      log.warning("process \(process) was not let in as a neighbour: its memory does not show who it is")
      return refuse(visitor, .unreachable)
    }
    letIn(visitor)
  }

  private func letIn(_ visitor: Visitor) {
    guard let pages = try? SharedPages(length: Slots.length) else { return refuse(visitor, .full) }
    let welcome = NeighbourMessages.bytes(
      of: NeighbourMessages.Welcome(guardAddress: UInt64(guardPage.address), token: guardPage.token))
    monitor.lock()
    defer { monitor.unlock() }
    // From here on it is asked by every withdrawal; before, it knows nothing that it could use.
    visitor.slots = Slots(pages)
    let given = [board.pages.file, pages.file]
    _ = clinux_send_files(visitor.socket, welcome, welcome.count, given, given.count, StreamSocket.dontWait)
    for file in files.values { show(file, to: visitor) }
  }

  private func refuse(_ visitor: Visitor, _ reason: NeighbourMessages.Refusal) {
    let message = NeighbourMessages.bytes(of: NeighbourMessages.Welcome(refusal: reason.rawValue))
    _ = clinux_send_files(visitor.socket, message, message.count, nil, 0, StreamSocket.dontWait)
    dismiss(visitor)
  }

  private func dismiss(_ visitor: Visitor) {
    monitor.lock()
    visitors.removeAll { $0 === visitor }
    monitor.unlock()
  }

  // MARK: Our memory

  /// Those who are in our memory now, whom a withdrawal has to wait for.
  struct Users {
    fileprivate var list: [(visitor: AnyObject, slots: Slots, index: Int, value: UInt64)] = []
  }

  /// Who may still use what was withdrawn from the board before this call.
  var users: Users {
    monitor.lock()
    defer { monitor.unlock() }
    var users = Users()
    for visitor in visitors {
      guard let slots = visitor.slots else { continue }
      for (index, value) in slots.busy { users.list.append((visitor, slots, index, value)) }
    }
    return users
  }

  /// Whether all of them have left. The dead, whose connection is over, have.
  func haveLeft(_ users: inout Users) -> Bool {
    users.list.removeAll { !$0.slots.says($0.value, at: $0.index) }
    guard !users.list.isEmpty else { return true }
    monitor.lock()
    let alive = Set(visitors.map { ObjectIdentifier($0) })
    monitor.unlock()
    users.list.removeAll { !alive.contains(ObjectIdentifier($0.visitor)) }
    return users.list.isEmpty
  }

  /// Gives a file to all neighbours, now and later, until it is taken back.
  func show(_ descriptor: Int32, number: UInt32, base: UInt, length: Int) {
    let file = ShownFile(
      descriptor: descriptor,
      news: NeighbourMessages.News(
        kind: NeighbourMessages.file, file: number, base: UInt64(base), length: UInt64(length)))
    monitor.lock()
    files[number] = file
    for visitor in visitors where visitor.slots != nil { show(file, to: visitor) }
    monitor.unlock()
  }

  /// Gives it to nobody any more, and has those who have it let go of it.
  func hide(_ number: UInt32) {
    let news = NeighbourMessages.bytes(of: NeighbourMessages.News(kind: NeighbourMessages.change))
    monitor.lock()
    if let file = files.removeValue(forKey: number) { Glibc.close(file.descriptor) }
    for visitor in visitors where visitor.slots != nil {
      _ = clinux_send_files(visitor.socket, news, news.count, nil, 0, StreamSocket.dontWait)
    }
    monitor.unlock()
  }

  /// One whose socket is full goes without: it reaches the memory all the same, only not as fast.
  private func show(_ file: ShownFile, to visitor: Visitor) {
    let message = NeighbourMessages.bytes(of: file.news)
    _ = clinux_send_files(visitor.socket, message, message.count, [file.descriptor], 1, StreamSocket.dontWait)
  }

  // MARK: Neighbours whose memory we reach

  /// Watches over the connection from now on. Returns false at the end.
  func add(_ host: Neighbour) -> Bool {
    monitor.lock()
    defer { monitor.unlock() }
    guard !isClosed else { return false }
    hosts.append(host)
    wake()
    return true
  }

  private func listen(to host: Neighbour, isProcess: Bool) {
    if isProcess { return leave(host, "its process has ended") }
    while true {
      var bytes = [UInt8](repeating: 0, count: MemoryLayout<NeighbourMessages.News>.size)
      var given = [Int32](repeating: -1, count: Int(CLINUX_FILES))
      let count = clinux_receive_files(host.socket, &bytes, bytes.count, &given, StreamSocket.dontWait)
      if count < 0, errno == EAGAIN || errno == EINTR { return }
      for file in given[1...] where file >= 0 { Glibc.close(file) }
      guard count == bytes.count, let news = NeighbourMessages.decode(bytes, as: NeighbourMessages.News.self) else {
        if given[0] >= 0 { Glibc.close(given[0]) }
        return leave(host, count == 0 ? "it has ended the connection" : "the connection is broken")
      }
      if news.kind == NeighbourMessages.file {
        host.map(news, file: given[0])
      } else {
        if given[0] >= 0 { Glibc.close(given[0]) }
        host.refresh()
      }
    }
  }

  private func leave(_ host: Neighbour, _ reason: String) {
    host.lose(reason)
    monitor.lock()
    hosts.removeAll { $0 === host }
    monitor.unlock()
  }

  // MARK: The end

  /// Breaks all connections; the neighbours have no business here any more. Returns the hosts, for their own end.
  func close(until deadline: UInt64) {
    monitor.lock()
    isClosed = true
    let hosts = hosts
    self.hosts = []
    for visitor in visitors { shutdown(visitor.socket, Int32(SHUT_RDWR)) }
    wake()
    while isRunning {
      guard ended.wait(until: deadline) || Clock.now < deadline else { break }
    }
    visitors = []
    for file in files.values { Glibc.close(file.descriptor) }
    files = [:]
    if !isRunning { for file in [listener] + wakeUp { Glibc.close(file) } }
    monitor.unlock()
    for host in hosts { host.close(until: deadline) }
  }
}
