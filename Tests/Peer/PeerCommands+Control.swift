import Cuda
import Glibc
import Topology
import TransferEngine

extension PeerCommands {
  /// What a peer can be told besides moving bytes; nil for a verb that is none of these.
  func control(_ verb: String, _ words: [String]) throws -> String? {
    switch verb {
    case "probe":
      try engine.probe(try one(words))
      return "ok"
    case "warmup":
      try engine.warmup(segment: try one(words))
      return "ok"
    case "tcp":
      guard let statistics = engine.tcpStatistics else { return "none" }
      let numbers = [statistics.initiated, statistics.served].flatMap { [$0.bytes, $0.operations, $0.failures] }
      return "ok " + numbers.map(String.init).joined(separator: " ")
    case "same-host":
      guard let statistics = engine.sameHostStatistics else { return "none" }
      return
        "ok \(statistics.copiedBytes) \(statistics.mappedBytes) \(statistics.operations) \(statistics.failures)"
    case "stranger":
      return try Stranger.listen(words)
    case "location":
      return "ok " + (try engine.describe(.local).buffers.map(\.location)).joined(separator: ",")
    case "cuda":
      return TransferEngine.hasCUDA ? "yes" : "no"
    case "topology":
      return "ok " + engine.topology.json(styled: false)
    case "nics":
      return "ok " + engine.nics.map { "\($0.completedOperations)" }.joined(separator: " ")
    case "context":
      return "ok \(try currentContext())"
    case "enter":
      // `GPU`: makes its context current, as a program does that uses it.
      try CUDADriver.load().context(of: Int(try one(words)) ?? 0).enter()
      return "ok \(try currentContext())"
    case "managed":
      return try registerManaged()
    case "refused":
      // `[OFFSET LENGTH [LOCATION]]`: the error of a registration that must fail.
      return refusal(words)
    case "write-for":
      return try writeFor(words)
    case "write-notify":
      return try notify(words)
    default:
      return nil
    }
  }

  /// What CUDA has current on this thread; 0 for nothing.
  private func currentContext() throws -> UInt {
    typealias GetCurrent = @convention(c) (UnsafeMutablePointer<UInt>) -> Int32
    guard let library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD), let symbol = dlsym(library, "cuCtxGetCurrent")
    else { throw PeerError("no CUDA") }
    var context: UInt = 0
    let result = unsafeBitCast(symbol, to: GetCurrent.self)(&context)
    guard result == 0 else { throw PeerError("cuCtxGetCurrent: \(result)") }
    return context
  }

  /// Registers memory that CUDA moves between host and GPU.
  private func registerManaged() throws -> String {
    typealias Allocate = @convention(c) (UnsafeMutablePointer<UInt>, Int, UInt32) -> Int32
    let context = try CUDADriver.load().context(of: 0)
    guard let library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD),
      let symbol = dlsym(library, "cuMemAllocManaged")
    else { throw PeerError("no CUDA") }
    try context.enter()
    defer { context.leave() }
    var address: UInt = 0
    let result = unsafeBitCast(symbol, to: Allocate.self)(&address, 4096, 1)
    guard result == 0, let memory = UnsafeMutableRawPointer(bitPattern: address) else {
      throw PeerError("cuMemAllocManaged: \(result)")
    }
    do {
      try engine.register(memory, length: 4096)
      return "registered"
    } catch {
      return "refused \(error)"
    }
  }

  private func refusal(_ words: [String]) -> String {
    let numbers = words.compactMap { Int($0) }
    do {
      try engine.register(
        base + (numbers.first ?? 0), length: numbers.count > 1 ? numbers[1] : length,
        location: words.count > 2 ? words[2] : "*")
      return "registered"
    } catch {
      return "refused \(error)"
    }
  }

  private func one(_ words: [String]) throws -> String {
    guard words.count == 1, let word = words.first else { throw PeerError("expected SEGMENT") }
    return word
  }

  /// `SEGMENT REMOTE_ADDRESS NAME MESSAGE`: writes one byte and notifies with it.
  private func notify(_ words: [String]) throws -> String {
    guard words.count == 4, let remote = UInt64(words[1]) else {
      throw PeerError("expected SEGMENT REMOTE_ADDRESS NAME MESSAGE")
    }
    let segment = try engine.openSegment(words[0])
    let batch = try engine.allocateBatch(capacity: 1)
    try engine.submit(
      [TransferRequest(.write, local: base, target: segment, remote: remote, length: 1)], to: batch,
      notification: NotificationMessage(name: words[2], message: words[3]))
    let status = try engine.wait(for: batch, timeout: .seconds(60))
    try engine.freeBatch(batch)
    try engine.closeSegment(segment)
    return status.state == .completed ? "ok" : "\(status.state)"
  }
}

extension PeerCommands {
  /// `SECONDS SEGMENT REMOTE_ADDRESS BLOCK COUNT`: writes the same batch over and over, until it does not complete or
  /// the time is up.
  func writeFor(_ words: [String]) throws -> String {
    guard words.count == 5, let seconds = Double(words[0]), let block = Int(words[3]), let count = Int(words[4]),
      let remote = UInt64(words[2]), block > 0, count > 0, block * count <= length
    else { throw PeerError("expected SECONDS SEGMENT REMOTE_ADDRESS BLOCK COUNT") }
    let segment = try engine.openSegment(words[1])
    let requests = (0..<count).map { index in
      TransferRequest(
        .write, local: base + index * block, target: segment, remote: remote + UInt64(index * block), length: block)
    }
    let end = ContinuousClock.now + .seconds(seconds)
    while true {
      let batch = try engine.allocateBatch(capacity: count)
      try engine.submit(requests, to: batch)
      let status = try engine.wait(for: batch, timeout: .seconds(120))
      // A part that timed out may still be with the NIC; the engine keeps such a batch.
      try? engine.freeBatch(batch)
      if status.state != .completed || ContinuousClock.now > end { return "\(status.state) \(status.transferredBytes)" }
    }
  }
}
