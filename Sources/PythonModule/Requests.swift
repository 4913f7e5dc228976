internal import CPython
internal import TransferEngine

/// The requests of one call, read from its arguments.
struct Requests: ~Copyable {
  /// Their targets are not set yet.
  let all: UnsafeMutableBufferPointer<TransferRequest>

  private init(_ all: UnsafeMutableBufferPointer<TransferRequest>) { self.all = all }

  // What a request is made of owns nothing.
  deinit { all.deallocate() }

  /// Bytes of all of them, 0 where they are beyond counting.
  var bytes: Int { max(0, all.reduce(0) { $0 &+ $1.length }) }

  /// One request.
  static func one(
    _ opcode: TransferOpcode, _ local: PythonObject, _ remote: PythonObject, _ length: PythonObject
  ) throws(PythonException) -> Requests {
    let (local, remote, length) = (try unsigned(local), try unsigned(remote), try unsigned(length))
    let requests = Requests(.allocate(capacity: 1))
    requests.set(0, opcode, local, remote, length)
    return requests
  }

  /// One request for each entry of three lists; nil if they differ in length.
  static func batch(
    _ opcode: TransferOpcode, _ locals: PythonObject, _ remotes: PythonObject, _ lengths: PythonObject
  ) throws(PythonException) -> Requests? {
    let locals = try Numbers.of(locals, "buffers")
    let remotes = try Numbers.of(remotes, "peer_buffer_addresses")
    let lengths = try Numbers.of(lengths, "lengths")
    guard locals.count == remotes.count, locals.count == lengths.count else { return nil }
    let requests = Requests(.allocate(capacity: locals.count))
    for index in 0..<locals.count {
      requests.set(index, opcode, try locals[index], try remotes[index], try lengths[index])
    }
    return requests
  }

  /// Initializes the request at `index`. A length that no memory has becomes a negative one, which the engine refuses.
  @inline(__always)
  private func set(_ index: Int, _ opcode: TransferOpcode, _ local: UInt64, _ remote: UInt64, _ length: UInt64) {
    guard let base = all.baseAddress else { return }
    var request = TransferRequest(
      opcode, local: UnsafeMutableRawPointer(base), target: .local, remote: remote,
      length: Int(truncatingIfNeeded: length))
    if request.length > Self.longest { request.length = -1 }
    request.local = UInt(local)
    (base + index).initialize(to: request)
  }

  /// More than any address space has, and still a number that can be added to.
  private static let longest = 1 << 56
}
