/// Memory of a GPU, given back to the driver with the value. The processor cannot reach it.
public struct CUDABuffer: ~Copyable, @unchecked Sendable {
  /// The first byte.
  public let address: UInt
  /// Bytes.
  public let length: Int
  private let context: CUDAContext

  /// Allocates `length` bytes on the GPU of `context`.
  public init(_ context: CUDAContext, length: Int) throws(CUDAError) {
    address = try context.allocate(length)
    self.length = length
    self.context = context
  }

  deinit { context.free(address) }

  /// Copies `bytes` to `offset`. What does not fit is a fault of the caller's that the driver reports.
  public func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(CUDAError) {
    try context.copy(to: address + UInt(offset), from: UInt(bitPattern: bytes.baseAddress), count: bytes.count)
  }

  /// Copies what is at `offset` to `bytes`.
  public func read(into bytes: UnsafeMutableRawBufferPointer, at offset: Int) throws(CUDAError) {
    try context.copy(to: UInt(bitPattern: bytes.baseAddress), from: address + UInt(offset), count: bytes.count)
  }
}
