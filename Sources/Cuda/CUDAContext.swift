internal import CCuda
internal import Synchronization

/// The primary context of a GPU, held.
///
/// `@unchecked Sendable`: a context may be current on any number of threads, and the driver serialises what it must.
public final class CUDAContext: @unchecked Sendable {
  /// CUDA's number of the GPU in this process.
  public let ordinal: Int

  private let driver: CUDADriver
  private let device: ccuda_device
  private let raw: ccuda_context
  /// Where ``copy(to:from:count:)`` works; made when it is first needed.
  private let stream = Mutex<Stream>(Stream())
  private struct Stream: @unchecked Sendable { var raw: ccuda_stream? }

  init(_ driver: CUDADriver, ordinal: Int) throws(CUDAError) {
    var device: ccuda_device = 0
    var raw: ccuda_context?
    try driver.check("cuDeviceGet", driver.functions.device(&device, Int32(truncatingIfNeeded: ordinal)))
    try driver.check("cuDevicePrimaryCtxRetain", driver.functions.retain_primary_context(&raw, device))
    guard let raw else { throw driver.error("cuDevicePrimaryCtxRetain", ccuda_result(CCUDA_INVALID_CONTEXT)) }
    self.driver = driver
    self.device = device
    self.raw = raw
    self.ordinal = ordinal
  }

  deinit {
    // At the end of a process the driver may be gone; then so is all of this.
    stream.withLock { if let stream = $0.raw { _ = driver.functions.destroy_stream(stream) } }
    _ = driver.functions.release_primary_context(device)
  }

  /// Makes the context current on the calling thread. Every call that succeeds is paired with one of ``leave()``, which
  /// brings back what was current before.
  public func enter() throws(CUDAError) {
    try driver.check("cuCtxPushCurrent", driver.functions.push_context(raw))
  }

  /// Undoes ``enter()``.
  public func leave() {
    var context: ccuda_context?
    _ = driver.functions.pop_context(&context)
  }

  /// Copies `count` bytes and waits until they are there. Either side may be host memory, memory of this GPU, or of
  /// another one; both are memory of this process.
  ///
  /// The copy is on a stream of its own: it neither waits for what the application has its GPU do nor delays it, so that
  /// the application says when memory may be transferred, as with a NIC. It ends when the GPU has done it; there is no
  /// deadline for a GPU that hangs.
  public func copy(to: UInt, from: UInt, count: Int) throws(CUDAError) {
    guard count > 0 else { return }
    try enter()
    defer { leave() }
    let stream = try stream.withLock { stream throws(CUDAError) in
      if let raw = stream.raw { return Stream(raw: raw) }
      let flags = UInt32(CCUDA_STREAM_NON_BLOCKING)
      try driver.check("cuStreamCreate", driver.functions.create_stream(&stream.raw, flags))
      return stream
    }
    try driver.check(
      "cuMemcpyAsync", driver.functions.copy(ccuda_address(to), ccuda_address(from), count, stream.raw))
    // Also for a copy from memory that is not page-locked: that call returns when the bytes are on their way.
    try driver.check("cuStreamSynchronize", driver.functions.synchronize(stream.raw))
  }

  /// Memory of the GPU.
  func allocate(_ length: Int) throws(CUDAError) -> UInt {
    try enter()
    defer { leave() }
    var address: ccuda_address = 0
    try driver.check("cuMemAlloc", driver.functions.allocate(&address, length))
    return UInt(address)
  }

  func free(_ address: UInt) {
    guard (try? enter()) != nil else { return }
    defer { leave() }
    _ = driver.functions.free(ccuda_address(address))
  }

  /// Host memory that is page-locked, which the GPU copies to and from at full speed; nil where there is none to be had.
  func allocateHost(_ length: Int) -> UnsafeMutableRawPointer? {
    guard (try? enter()) != nil else { return nil }
    defer { leave() }
    var address: UnsafeMutableRawPointer?
    let result = driver.functions.allocate_host(&address, length, UInt32(CCUDA_HOST_PORTABLE))
    return result == 0 ? address : nil
  }

  func freeHost(_ address: UnsafeMutableRawPointer) {
    guard (try? enter()) != nil else { return }
    defer { leave() }
    _ = driver.functions.free_host(address)
  }
}
