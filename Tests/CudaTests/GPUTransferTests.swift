internal import Foundation
internal import TestSupport
internal import Testing

/// Two processes, each of which dies if it touches memory of its GPU by any other way than the driver's copies.
@Suite(
  "Memory of a GPU is transferred", .enabled(if: FakeCuda.isBuilt, "\(FakeCuda.advice)"), .timeLimit(.minutes(5)))
struct GPUTransferTests {
  private func peers(_ sides: Sides, _ way: Way) throws -> (near: PeerProcess, far: PeerProcess) {
    (
      try FakeCuda.peer(gpu: sides.near, provider: way.provider, environment: way.environment),
      try FakeCuda.peer(gpu: sides.far, provider: way.provider)
    )
  }

  /// More than any buffer on the way holds, from and to odd addresses, with a tail of three bytes.
  @Test(arguments: Sides.all, Way.all)
  func writeAndRead(_ sides: Sides, _ way: Way) throws {
    let length = 33 << 20 | 3
    let (near, far) = try peers(sides, way)
    try near.fill(seed: 1, offset: 1, length: length)
    try far.fill(seed: 9, length: length + 100)
    let written = try near.ask("write \(far.name) 1 \(far.address + 5) \(length) 1")
    #expect(written == "completed \(length)")
    #expect(try far.mismatch(seed: 1, offset: 5, length: length) == nil)
    #expect(try far.mismatch(seed: 9, length: 5) == nil, "nothing before it")
    let behind = try far.mismatch(seed: 9, offset: 5 + length, length: 50, patternOffset: 5 + length)
    #expect(behind == nil, "nothing behind it")
    try far.fill(seed: 2, offset: 3, length: length)
    let read = try near.ask("read \(far.name) 7 \(far.address + 3) \(length) 1")
    #expect(read == "completed \(length)")
    #expect(try near.mismatch(seed: 2, offset: 7, length: length) == nil)
  }

  @Test(arguments: Sides.all, Way.all)
  func manySmallOnes(_ sides: Sides, _ way: Way) throws {
    for (block, count) in [(3, 200), (4099, 300), (100_003, 40)] {
      let total = block * count
      let (near, far) = try peers(sides, way)
      try near.fill(seed: 3, length: total)
      #expect(try near.ask("write \(far.name) 0 \(far.address) \(block) \(count)") == "completed \(total)")
      #expect(try far.mismatch(seed: 3, length: total) == nil)
      try far.fill(seed: 4, length: total)
      #expect(try near.ask("read \(far.name) 0 \(far.address) \(block) \(count)") == "completed \(total)")
      #expect(try near.mismatch(seed: 4, length: total) == nil)
    }
  }

  @Test(arguments: [Way.tcp] + (TestFabric.fakeNICs > 0 ? [Way(description: "efa (fake)", provider: "efa")] : []))
  func withinTheProcess(_ way: Way) throws {
    let peer = try FakeCuda.peer(gpu: 1, provider: way.provider)
    let length = 5_000_003
    try peer.fill(seed: 5, length: length)
    #expect(try peer.ask("write \(peer.name) 0 \(peer.address + 6_000_000) \(length) 1") == "completed \(length)")
    #expect(try peer.mismatch(seed: 5, offset: 6_000_000, length: length) == nil)
    try peer.fill(seed: 6, offset: 6_000_000, length: length)
    #expect(try peer.ask("read \(peer.name) 0 \(peer.address + 6_000_000) \(length) 1") == "completed \(length)")
    #expect(try peer.mismatch(seed: 6, length: length) == nil)
  }

  /// A peer without a NIC reaches the memory by the listener beside the NICs, and the other way round.
  @Test(.enabled(if: TestFabric.fakeNICs > 0, "\(TestFabric.fakeEFAAdvice)"), arguments: [true, false])
  func besideTheNICs(isNearWithNICs: Bool) throws {
    let length = 5_000_003
    let near = try FakeCuda.peer(gpu: 0, provider: isNearWithNICs ? "efa" : nil)
    let far = try FakeCuda.peer(gpu: 1, provider: isNearWithNICs ? nil : "efa")
    try near.fill(seed: 1, length: length)
    #expect(try near.ask("write \(far.name) 0 \(far.address + 1) \(length) 1") == "completed \(length)")
    #expect(try far.mismatch(seed: 1, offset: 1, length: length) == nil)
    try far.fill(seed: 2, length: length)
    #expect(try near.ask("read \(far.name) 3 \(far.address) \(length) 1") == "completed \(length)")
    #expect(try near.mismatch(seed: 2, offset: 3, length: length) == nil)
    #expect(try near.ask("tcp").hasPrefix("ok \(2 * length) "))
  }

  @Test("What the GPU does not give or take has failed, and the engines go on", arguments: ["write", "read"])
  func copiesThatFail(verb: String) throws {
    let length = 3 << 20
    let near = try FakeCuda.peer(gpu: 0, provider: nil, environment: ["FAKE_CUDA_FAIL_FROM": "1"])
    let host = try FakeCuda.peer(gpu: -1, provider: nil)
    #expect(try near.ask("\(verb) \(host.name) 0 \(host.address) \(length) 1") == "failed 0")
    #expect(try near.ask("\(verb) \(host.name) 0 \(host.address) 100 5") == "failed 0")
    // And from the other side.
    #expect(try host.ask("\(verb) \(near.name) 0 \(near.address) \(length) 1") == "failed 0")
    // Within the process.
    #expect(try near.ask("\(verb) \(near.name) 0 \(near.address + 8192) 4096 1") == "failed 0")
    #expect(try near.ask("probe \(host.name)") == "ok")
    #expect(try host.ask("probe \(near.name)") == "ok")
  }

  /// One copy of a batch fails: what was to be copied by the others has arrived.
  @Test func theRestOfABatchArrives() throws {
    let (block, count) = (4096, 64)
    let near = try FakeCuda.peer(
      gpu: 0, provider: nil, environment: ["FAKE_CUDA_FAIL_ONCE": "22", "MC_TCP_LANES_PER_PEER": "1"])
    let far = try FakeCuda.peer(gpu: -1, provider: nil)
    // The first copy.
    try near.fill(seed: 7, length: block * count)
    #expect(try near.ask("write \(far.name) 0 \(far.address) \(block) \(count)") == "failed \(63 * block)")
    for index in 0..<count {
      let found = try far.mismatch(seed: 7, offset: index * block, length: block, patternOffset: index * block)
      #expect((found == nil) == (index != 20), "block \(index)")
    }
  }
}

@Suite(
  "Memory of a real GPU is transferred",
  .enabled(if: RealGPU.isThere, "this host has no NVIDIA GPU (there is no /dev/nvidiactl)"), .timeLimit(.minutes(5)))
struct RealGPUTests {
  @Test(arguments: [Sides(near: 0, far: -1), Sides(near: -1, far: 0), Sides(near: 0, far: 0)])
  func overTCP(_ sides: Sides) throws { try exchange(sides, provider: nil) }

  @Test(
    .enabled(if: RealGPU.hasEFA, "this host has no EFA device (nothing in /sys/class/infiniband)"),
    arguments: [Sides(near: 0, far: -1), Sides(near: -1, far: 0), Sides(near: 0, far: 0)])
  func overEFA(_ sides: Sides) throws { try exchange(sides, provider: "efa") }

  @Test func withinTheProcess() throws {
    let peer = try PeerProcess(gpu: 0, provider: nil)
    let length = 5_000_003
    try peer.fill(seed: 5, length: length)
    #expect(try peer.ask("write \(peer.name) 0 \(peer.address + 6_000_000) \(length) 1") == "completed \(length)")
    #expect(try peer.mismatch(seed: 5, offset: 6_000_000, length: length) == nil)
  }

  @Test func theCallersContextStays() throws {
    let peer = try PeerProcess(gpu: 0, provider: nil)
    #expect(try peer.ask("context") == "ok 0")
    #expect(try peer.ask("unregister") == "ok")
    #expect(try peer.ask("register") == "ok")
    #expect(try peer.ask("context") == "ok 0")
  }

  private func exchange(_ sides: Sides, provider: String?) throws {
    let length = 33 << 20 | 3
    // The fake provider would take EFA's place.
    let variables = ["FI_PROVIDER_PATH": "", "FI_PROVIDER": ""]
    let near = try PeerProcess(gpu: sides.near, provider: provider, environment: variables)
    let far = try PeerProcess(gpu: sides.far, provider: provider, environment: variables)
    try near.fill(seed: 1, offset: 1, length: length)
    #expect(try near.ask("write \(far.name) 1 \(far.address + 5) \(length) 1") == "completed \(length)")
    #expect(try far.mismatch(seed: 1, offset: 5, length: length) == nil)
    try far.fill(seed: 2, offset: 3, length: length)
    #expect(try near.ask("read \(far.name) 7 \(far.address + 3) \(length) 1") == "completed \(length)")
    #expect(try near.mismatch(seed: 2, offset: 7, length: length) == nil)
    for side in [near, far] { #expect(try side.ask("unregister") == "ok") }
  }
}

enum RealGPU {
  static let isThere = FileManager.default.fileExists(atPath: "/dev/nvidiactl")
  static let hasEFA =
    ((try? FileManager.default.contentsOfDirectory(atPath: "/sys/class/infiniband")) ?? []).isEmpty == false
}
