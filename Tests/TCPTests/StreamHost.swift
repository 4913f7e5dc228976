internal import Glibc
internal import Logging
internal import Synchronization
internal import TestSupport
internal import Wire

@testable internal import TransferEngine

/// One lane to a listener that does what the test does: which byte it takes, and when it answers.
final class StreamHost: @unchecked Sendable {
  let peer: TCPPeer
  let batches = BatchTable()
  let memory: UnsafeMutableRawPointer
  private let length: Int
  private let listener: Int32
  private(set) var connection: Int32 = -1

  /// - Parameter room: Bytes that the listener's side of a connection takes before they are read; nil for the kernel's
  ///   choice.
  init(length: Int, room: Int32? = nil, settings: [String: String] = [:]) throws {
    self.length = length
    memory = .allocate(byteCount: length, alignment: 64)
    for index in 0..<length { memory.storeBytes(of: Self.byte(index), toByteOffset: index, as: UInt8.self) }
    let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    self.listener = listener
    if var room { setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &room, socklen_t(MemoryLayout<Int32>.size)) }
    var patience = timeval(tv_sec: 20, tv_usec: 0)
    setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let result = withUnsafeMutableBytes(of: &address) { bytes -> Int32 in
      guard let base = bytes.assumingMemoryBound(to: sockaddr.self).baseAddress, bind(listener, base, size) == 0,
        listen(listener, 4) == 0
      else { return errno }
      return getsockname(listener, base, &size) == 0 ? 0 : errno
    }
    guard result == 0 else { throw PeerProcess.Failure("listening failed: error \(result)") }
    peer = TCPPeer(
      name: "host", host: "127.0.0.1", port: UInt16(bigEndian: address.sin_port), version: 2,
      life: PeerLife(incarnation: nil),
      options: TCPOptions(settings.merging(["MC_TCP_LANES_PER_PEER": "1"]) { $1 }), traffic: Traffic(),
      logger: Logger(label: "host"), inquiry: { _ in nil })
  }

  deinit {
    peer.close()
    _ = peer.awaitEnd(until: Clock.now + 5_000_000_000)
    if connection >= 0 { Glibc.close(connection) }
    Glibc.close(listener)
    memory.deallocate()
  }

  static func byte(_ index: Int) -> UInt8 { UInt8(truncatingIfNeeded: index &* 31 &+ index >> 8) }

  /// Submits one request for the first `length` bytes.
  func submit(_ opcode: TransferOpcode, _ length: Int) throws -> BatchID {
    let id = try batches.allocate(capacity: 1)
    try batches.with(id) { batch in
      guard let slot = batch.pointee.memory.slab, let tasks = batch.pointee.memory.tasks else { return }
      tasks.pointee.reset(parts: 1)
      RegionUse.unregistered.pointee.count.add(1, ordering: .relaxed)
      slot.pointee.next = nil
      slot.pointee.batch = batch
      slot.pointee.use = RegionUse.unregistered
      slot.pointee.local = memory
      slot.pointee.remote = 4096
      slot.pointee.length = length
      slot.pointee.deadline = Clock.now + 60_000_000_000
      slot.pointee.task = 0
      slot.pointee.taskCount = 1
      slot.pointee.opcode = opcode
      slot.pointee.isPart = false
      slot.pointee.isAbandoned = false
      slot.pointee.isOnGPU = false
      slot.pointee.retries = []
      batch.pointee.outstanding.add(1, ordering: .relaxed)
      batch.pointee.submitted.store(1, ordering: .releasing)
      batch.follow(peer)
      peer.push(slot, deadline: Clock.now + 60_000_000_000, mayWait: true)
    }
    return id
  }

  /// Waits as ``TransferEngine/TransferEngine/wait(for:timeout:)`` does.
  func wait(_ id: BatchID, milliseconds: UInt64) throws -> TransferStatus {
    try batches.with(id) { batch in
      _ = Progress(rails: []).wait(for: batch, deadline: Clock.now + milliseconds * 1_000_000)
      return batch.status
    }
  }

  /// Looks, without moving anything on, until the batch is final or 20 s are over.
  func watch(_ id: BatchID) throws -> TransferStatus {
    try batches.with(id) { batch in
      for _ in 0..<20_000 where !batch.status.isFinal { usleep(1000) }
      return batch.status
    }
  }

  /// Takes the connection that the lane makes for the first request.
  func accept() throws {
    connection = Glibc.accept(listener, nil, nil)
    guard connection >= 0 else { throw PeerProcess.Failure("nobody connects: error \(errno)") }
    var patience = timeval(tv_sec: 20, tv_usec: 0)
    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
  }

  /// Receives a request for the first `length` bytes, with its payload if it is a write, and looks at every byte.
  func take(_ opcode: TCPRequestHeader.Opcode, _ length: Int) throws -> Bool {
    let header = try receive(TCPRequestHeader.length)
    let request = header.withUnsafeBytes { bytes in bytes.baseAddress.map { TCPRequestHeader(decoding: $0) } }
    let expected = TCPRequestHeader(opcode, address: 4096, size: UInt64(length), isAcknowledged: true)
    guard request == expected else { return false }
    guard opcode == .write else { return true }
    return try receive(length).enumerated().allSatisfy { $1 == Self.byte($0) }
  }

  /// Answers the request that was taken first of those that are not answered.
  func answer(_ payload: [UInt8] = []) {
    var bytes = [UInt8](repeating: 0, count: TCPStatusFrame.length)
    bytes.withUnsafeMutableBytes { if let base = $0.baseAddress { TCPStatusFrame.ok.encode(into: base) } }
    bytes += payload
    send(connection, bytes, bytes.count, Int32(MSG_NOSIGNAL))
  }

  private func receive(_ count: Int) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    guard recv(connection, &bytes, count, Int32(MSG_WAITALL)) == count else {
      throw PeerProcess.Failure("the request ends before its end")
    }
    return bytes
  }

  /// Brings the lane to where a caller may borrow it: connected, and idle.
  func connect() throws {
    let id = try submit(.write, 1)
    try accept()
    guard try take(.write, 1) else { throw PeerProcess.Failure("another request was expected") }
    answer()
    guard try wait(id, milliseconds: 20_000).state == .completed else { throw PeerProcess.Failure("no answer") }
    for _ in 0..<20_000 where state != .resting { usleep(1000) }
  }

  var state: TCPPeer.Slot.State {
    peer.monitor.lock()
    defer { peer.monitor.unlock() }
    return peer.slots[0].state
  }

  /// The first lane's socket and how often it was lent.
  var slot: (socket: Int32, loans: Int) {
    peer.monitor.lock()
    defer { peer.monitor.unlock() }
    return (peer.slots[0].socket, peer.slots[0].loans)
  }
}
