internal import Glibc
internal import Memory
internal import Testing
internal import Topology

@testable internal import Cuda
@testable internal import TransferEngine

@Suite("What the driver is asked", .enabled(if: FakeCuda.isBuilt, "\(FakeCuda.advice)"))
struct DriverTests {
  private func driver() throws -> CUDADriver { try CUDADriver.load(path: FakeCuda.privateFile) }

  /// A function of the fake's own.
  private func ask(_ name: String, _ argument: Int32 = 0) throws -> Int32 {
    typealias Function = @convention(c) (Int32) -> Int32
    let library = try #require(dlopen(FakeCuda.privateFile, RTLD_NOW))
    return unsafeBitCast(try #require(dlsym(library, name)), to: Function.self)(argument)
  }

  @Test func memoryIsToldApart() throws {
    let driver = try driver()
    let (zero, one) = (try driver.context(of: 0), try driver.context(of: 1))
    let first = try CUDABuffer(zero, length: 1000)
    let second = try CUDABuffer(one, length: 1)
    let host = try HostBuffer(length: 4096)
    let staging = StagingBuffer(zero)
    #expect(try driver.kind(of: first.address) == .device(0))
    #expect(try driver.kind(of: first.address + 999) == .device(0))
    #expect(try driver.kind(of: first.address + 1000) == .host)
    #expect(try driver.kind(of: second.address) == .device(1))
    #expect(try driver.kind(of: UInt(bitPattern: host.baseAddress)) == .host)
    #expect(try driver.kind(of: UInt(bitPattern: staging.baseAddress)) == .host)
  }

  @Test func managedMemoryIsNeither() throws {
    typealias Allocate = @convention(c) (UnsafeMutablePointer<UInt>, Int, UInt32) -> Int32
    let driver = try driver()
    let context = try driver.context(of: 1)
    let library = try #require(dlopen(FakeCuda.privateFile, RTLD_NOW))
    let allocate = unsafeBitCast(try #require(dlsym(library, "cuMemAllocManaged")), to: Allocate.self)
    var address: UInt = 0
    try context.enter()
    #expect(allocate(&address, 4096, 1) == 0)
    context.leave()
    #expect(try driver.kind(of: address) == .managed(1))
    context.free(address)
  }

  @Test func lookingInitialisesNothing() throws {
    let fresh = try Self.copyOfTheLibrary()
    defer { unlink(fresh) }
    let driver = try CUDADriver.open(fresh, onlyIfMapped: false)
    let host = try HostBuffer(length: 4096)
    #expect(try driver.kind(of: UInt(bitPattern: host.baseAddress)) == .host)
    #expect(driver.pciAddresses == nil)
    typealias Function = @convention(c) () -> Int32
    let library = try #require(dlopen(fresh, RTLD_NOW | RTLD_NOLOAD))
    let isInitialised = unsafeBitCast(try #require(dlsym(library, "fakecuda_is_initialized")), to: Function.self)
    #expect(isInitialised() == 0)
  }

  @Test func thereIsOneContextForAllWhoAsk() throws {
    let driver = try driver()
    let before = try ask("fakecuda_holders", 1)
    do {
      let context = try driver.context(of: 1)
      #expect(try driver.context(of: 1) === context)
      #expect(try ask("fakecuda_holders", 1) == before + 1)
      let depth = try ask("fakecuda_depth")
      try context.enter()
      #expect(try ask("fakecuda_depth") == depth + 1)
      context.leave()
      #expect(try ask("fakecuda_depth") == depth)
    }
    #expect(try ask("fakecuda_holders", 1) == before)
  }

  @Test func bytesArriveThereAndBack() throws {
    let length = 100_003
    let driver = try driver()
    let from = try CUDABuffer(driver.context(of: 0), length: length)
    let to = try CUDABuffer(driver.context(of: 1), length: length)
    let sent = try HostBuffer(length: length)
    let received = try HostBuffer(length: length)
    PatternFill.fill(sent.bytes, seed: 3)
    try from.write(UnsafeRawBufferPointer(sent.bytes), at: 0)
    try driver.context(of: 0).copy(to: to.address, from: from.address, count: length)
    try to.read(into: received.bytes, at: 0)
    #expect(PatternFill.firstMismatch(UnsafeRawBufferPointer(received.bytes), seed: 3) == nil)
    // Nothing is current afterwards, also after a failure.
    let error = #expect(throws: CUDAError.self) { try to.read(into: received.bytes, at: 1) }
    #expect(error?.call == "cuMemcpyAsync" && error?.code == 1)
    #expect(try ask("fakecuda_depth") == 0)
  }

  @Test func aGPUThatIsNotThereIsAnError() throws {
    let driver = try driver()
    let error = #expect(throws: CUDAError.self) { try driver.context(of: 99) }
    #expect(error?.call == "cuDeviceGet")
  }

  @Test func aLibraryThatIsNotThereIsAnError() throws {
    let error = #expect(throws: CUDAError.self) { try CUDADriver.load(path: "/nowhere/libcuda.so.1") }
    #expect(error?.text.contains("/nowhere/libcuda.so.1") == true)
    #expect(error?.advice.contains("driver") == true)
  }

  @Test func theTopologyTakesCUDAsNumbers() throws {
    let devices = [NetworkDevice(name: "a"), NetworkDevice(name: "b")]
    let topology = LiveTopology(devices: devices, inventory: HostInventory(sysfs: "/nowhere", dev: "/nowhere"))
    #expect(topology.current.entries.keys.sorted() == ["cpu:0"])
    topology.learn(from: nil)
    #expect(topology.current.entries.keys.sorted() == ["cpu:0"])
    let driver = try driver()
    #expect(driver.pciAddresses == ["0000:17:00.0", "0000:16:00.0"])
    topology.learn(from: driver)
    #expect(topology.current.entries["cuda:1"] == Topology.Entry(preferred: ["a", "b"], others: []))
    #expect(topology.current.entries.keys.sorted() == ["cpu:0", "cuda:0", "cuda:1"])
  }

  /// A copy of the file, which is another library to the loader, with a state of its own.
  private static func copyOfTheLibrary() throws -> String {
    let path = "\(FakeCuda.privateFile).\(UInt32.random(in: 0 ... .max))"
    let (source, target) = (open(FakeCuda.privateFile, O_RDONLY), open(path, O_WRONLY | O_CREAT | O_EXCL, 0o700))
    defer {
      close(source)
      close(target)
    }
    try #require(source >= 0 && target >= 0)
    var bytes = [UInt8](repeating: 0, count: 1 << 20)
    while true {
      let count = read(source, &bytes, bytes.count)
      guard count > 0 else { return path }
      try #require(write(target, bytes, count) == count)
    }
  }
}
