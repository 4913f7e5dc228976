internal import Memory
internal import TransferEngine

/// Shows that a bench has moved the bytes it says: a pattern that depends on this run and on every byte's offset goes
/// out before or during the run, and is compared after it, byte for byte.
struct BenchVerification {
  let run: InitiatorRun
  let opcode: TransferOpcode
  /// Differs from run to run: what an earlier run has left at the target does not pass.
  private let seed = UInt64.random(in: 1..<(.max / 2))

  init(_ run: InitiatorRun, _ opcode: TransferOpcode) {
    self.run = run
    self.opcode = opcode
  }

  /// Fills the source of the transfers: this side's memory for a write, the target's for a read.
  func prepare() throws(CommandFailure) {
    fill(seed)
    guard opcode == .read else { return }
    for thread in 0..<run.parameters.threads {
      try run.session.transfer(run.requests(.write, thread: thread), timeout: run.parameters.timeout)
    }
    // What was here before must not pass for what was read.
    fill(seed + 1)
  }

  /// Compares what arrived, and returns how many bytes that were.
  func check() throws(CommandFailure) -> Int {
    switch opcode {
    case .read: return try checkLocal()
    case .write: return try checkTarget()
    }
  }

  private func fill(_ seed: UInt64) {
    for buffer in run.session.buffers {
      PatternFill.fill(buffer.bytes(count: run.parameters.requiredSize), seed: seed, offset: 0)
    }
  }

  private func checkLocal() throws(CommandFailure) -> Int {
    let parameters = run.parameters
    for thread in 0..<parameters.threads {
      for index in 0..<parameters.batchSize {
        let offset = parameters.offset(request: index, thread: thread)
        try compare(run.buffer(of: thread).bytes(from: offset, count: parameters.blockSize), offset, thread)
      }
    }
    return parameters.requiredSize
  }

  /// Reads back through the fabric, into memory that took no part in the run.
  private func checkTarget() throws(CommandFailure) -> Int {
    let parameters = run.parameters
    let blocks = max(1, min(parameters.batchSize, (64 << 20) / parameters.blockSize))
    let scratch = try run.session.makeBuffer(length: blocks * parameters.blockSize)
    for thread in 0..<parameters.threads {
      let remote = run.target.buffers[thread % run.target.buffers.count]
      for first in stride(from: 0, to: parameters.batchSize, by: blocks) {
        let indices = first..<min(first + blocks, parameters.batchSize)
        PatternFill.fill(scratch.bytes(count: scratch.length), seed: seed + 1, offset: 0)
        let requests = indices.map { index in
          TransferRequest(
            .read, local: scratch.baseAddress + (index - first) * parameters.blockSize, target: run.segment,
            remote: remote.address + UInt64(parameters.offset(request: index, thread: thread)),
            length: parameters.blockSize)
        }
        try run.session.transfer(requests, timeout: parameters.timeout)
        for index in indices {
          let bytes = scratch.bytes(from: (index - first) * parameters.blockSize, count: parameters.blockSize)
          try compare(bytes, parameters.offset(request: index, thread: thread), thread)
        }
      }
    }
    return parameters.requiredSize
  }

  private func compare(_ bytes: UnsafeMutableRawBufferPointer, _ offset: Int, _ thread: Int) throws(CommandFailure) {
    guard let at = PatternFill.firstMismatch(UnsafeRawBufferPointer(bytes), seed: seed, offset: UInt64(offset)) else {
      return
    }
    throw CommandFailure(
      """
      Detect data integrity problem: \(opcode == .read ? "read" : "written") byte at offset \(offset + at) of the \
      buffer of thread \(thread) is not what was sent
      """)
  }
}
