internal import CLinux
internal import Glibc
internal import Logging
internal import Synchronization

/// An engine in another process of this host whose memory this one can reach, as long as the connection to it stands.
final class Neighbour: @unchecked Sendable {
  /// The life of the engine that was met.
  let incarnation: String
  let name: String
  /// The process, and a file that tells of its end.
  let process: Int32
  let processFile: Int32
  let socket: Int32
  /// Where its guard page is, and what it holds.
  let guardAddress: UInt
  let token: (UInt64, UInt64)
  let board: SharedPages
  let slots: Slots
  private let log: Logger
  private let lost = Atomic<Bool>(false)
  private let current: Mutex<NeighbourView>

  /// Meeting a neighbour takes this long at most, in nanoseconds; it is a matter of microseconds unless it stands still.
  static let patience: UInt64 = 3_000_000_000

  /// Whether the connection stands, so that its memory may be touched.
  @inline(__always)
  var isReachable: Bool { !lost.load(ordering: .relaxed) }

  /// Its registrations as they are now.
  var view: NeighbourView {
    current.withLock { view in
      if !view.isCurrent { view = NeighbourView(board, mappings: view.files) }
      return view
    }
  }

  private init(
    incarnation: String, name: String, process: Int32, processFile: Int32, socket: Int32,
    welcome: NeighbourMessages.Welcome, board: SharedPages, slots: Slots, log: Logger
  ) {
    self.incarnation = incarnation
    self.name = name
    self.process = process
    self.processFile = processFile
    self.socket = socket
    guardAddress = UInt(truncatingIfNeeded: welcome.guardAddress)
    token = welcome.token
    self.board = board
    self.slots = slots
    self.log = log
    current = Mutex(NeighbourView(board, mappings: [:]))
  }

  deinit {
    Glibc.close(processFile)
    Glibc.close(socket)
  }

  // MARK: The beginning

  /// Why a neighbour was not met.
  struct Obstacle: Error {
    let text: String
    init(_ text: String) { self.text = text }
  }

  /// Meets the engine `incarnation`, and makes sure that its memory can be reached. Blocks for ``patience`` at most.
  static func meet(
    _ incarnation: String, name: String, guardPage: GuardPage, log: Logger
  ) throws(Obstacle) -> Neighbour {
    guard let (socketAddress, length) = HostIdentity.address(incarnation) else {
      throw Obstacle("its name is too long")
    }
    var address = socketAddress
    let socket = Glibc.socket(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard socket >= 0 else { throw Obstacle("socket: \(StreamSocket.describe(errno))") }
    var isKept = false
    defer { if !isKept { Glibc.close(socket) } }
    var limit = timeval(tv_sec: Int(patience / 1_000_000_000), tv_usec: 0)
    for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
      setsockopt(socket, SOL_SOCKET, option, &limit, socklen_t(MemoryLayout<timeval>.size))
    }
    let result = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(socket, $0, length) }
    }
    guard result == 0 else { throw Obstacle("connecting to its socket: \(StreamSocket.describe(errno))") }
    let (process, processFile) = try identify(socket)
    defer { if !isKept { Glibc.close(processFile) } }
    let hello = NeighbourMessages.bytes(
      of: NeighbourMessages.Hello(
        life: NeighbourMessages.Life(incarnation), guardAddress: UInt64(guardPage.address), token: guardPage.token))
    guard clinux_send_files(socket, hello, hello.count, nil, 0, 0) == hello.count else {
      throw Obstacle("greeting it: \(StreamSocket.describe(errno))")
    }
    var bytes = [UInt8](repeating: 0, count: MemoryLayout<NeighbourMessages.Welcome>.size)
    var files = [Int32](repeating: -1, count: Int(CLINUX_FILES))
    let received = clinux_receive_files(socket, &bytes, bytes.count, &files, 0)
    let reason = StreamSocket.describe(errno)
    let board = SharedPages(given: files[0], length: BoardLayout.length, isWritable: false)
    let places = SharedPages(given: files[1], length: Slots.length, isWritable: true)
    for file in files[2...] where file >= 0 { Glibc.close(file) }
    guard received == bytes.count,
      let welcome = NeighbourMessages.decode(bytes, as: NeighbourMessages.Welcome.self),
      welcome.magic == BoardLayout.magic, welcome.version == NeighbourMessages.version
    else { throw Obstacle(received < 0 ? "it does not answer: \(reason)" : "it does not answer as an engine does") }
    guard welcome.refusal == 0, let board, let places else {
      throw Obstacle(Self.describe(welcome.refusal))
    }
    guard board.word(BoardLayout.magicOffset).pointee.load(ordering: .acquiring) == BoardLayout.magic else {
      throw Obstacle("its table has another form")
    }
    let neighbour = Neighbour(
      incarnation: incarnation, name: name, process: process, processFile: processFile, socket: socket,
      welcome: welcome, board: board, slots: Slots(places), log: log)
    isKept = true
    if let reason = neighbour.rehearse() { throw Obstacle(reason) }
    return neighbour
  }

  /// The process at the other end, which has to be this user's, and a file for it.
  static func identify(_ socket: Int32) throws(Obstacle) -> (process: Int32, file: Int32) {
    var process: Int32 = 0
    var user: UInt32 = 0
    let code = clinux_peer(socket, &process, &user)
    guard code == 0 else { throw Obstacle("SO_PEERCRED: \(StreamSocket.describe(code))") }
    guard user == geteuid() else { throw Obstacle("it belongs to user \(user), this process to \(geteuid())") }
    guard process > 0 else { throw Obstacle("it is in another PID namespace") }
    // Whoever has two engines in one process has memory of both at hand.
    guard process != getpid() else { throw Obstacle("it is in this process") }
    let file = clinux_open_process(process)
    guard file >= 0 else { throw Obstacle("pidfd_open: \(StreamSocket.describe(errno))") }
    return (process, file)
  }

  /// Reads the token and writes beside it, as transfers do. Returns why that does not go.
  private func rehearse() -> String? {
    guard GuardWord.isThere(process, guardAddress, token) else {
      return "process_vm_readv: \(StreamSocket.describe(errno))\(Self.advice)"
    }
    var word: UInt64 = 1
    let written = withUnsafeMutableBytes(of: &word) { bytes in
      var from = clinux_part(base: bytes.baseAddress, length: bytes.count)
      var to = clinux_part(
        base: UnsafeMutableRawPointer(bitPattern: guardAddress + GuardPage.writtenOffset), length: bytes.count)
      return clinux_process_write(process, &from, 1, &to, 1)
    }
    guard written == MemoryLayout<UInt64>.size else {
      return "process_vm_writev: \(StreamSocket.describe(errno))\(Self.advice)"
    }
    return nil
  }

  private static let advice = " (see kernel.yama.ptrace_scope, and whether the container has CAP_SYS_PTRACE)"

  private static func describe(_ refusal: UInt32) -> String {
    switch NeighbourMessages.Refusal(rawValue: refusal) {
    case .otherLife: "it says that it is another engine"
    case .unreachable: "it cannot reach this process's memory\(advice)"
    case .full: "it has no room for one more neighbour"
    case nil: "it gives no reason"
    }
  }

  // MARK: What it tells

  /// It has given us a file of its memory.
  func map(_ news: NeighbourMessages.News, file: Int32) {
    guard let length = Int(exactly: news.length),
      let pages = SharedPages(given: file, length: length, isWritable: true)
    else { return }
    current.withLock { view in
      var mappings = view.files
      mappings[news.file] = NeighbourView.Mapping(pages: pages, base: news.base)
      view = NeighbourView(board, mappings: mappings)
    }
  }

  /// Its table has changed: memory that it has withdrawn is let go of.
  func refresh() { _ = view }

  // MARK: The end

  /// It is gone, or another process has taken its place: nothing more is tried. Says so once.
  func lose(_ reason: @autoclosure () -> String) {
    guard !lost.exchange(true, ordering: .sequentiallyConsistent) else { return }
    log.info("\(name) is not reached within the host any more: \(reason())")
  }

  /// Breaks the connection once no thread touches its memory, or leaves it at `deadline` to the end of the process.
  func close(until deadline: UInt64) {
    lost.store(true, ordering: .sequentiallyConsistent)
    while !slots.isIdle {
      guard Clock.now < deadline else { return }
      Thread.pause(microseconds: 100)
    }
    shutdown(socket, Int32(SHUT_RDWR))
  }
}

/// Looking at another process's guard page.
enum GuardWord {
  /// Whether the process has the token at the address.
  static func isThere(_ process: Int32, _ address: UInt, _ token: (UInt64, UInt64)) -> Bool {
    var found: (UInt64, UInt64) = (0, 0)
    let count = withUnsafeMutableBytes(of: &found) { bytes in
      var to = clinux_part(base: bytes.baseAddress, length: bytes.count)
      var from = clinux_part(base: UnsafeMutableRawPointer(bitPattern: address), length: bytes.count)
      return clinux_process_read(process, &to, 1, &from, 1)
    }
    return count == GuardPage.tokenLength && found == token
  }
}
