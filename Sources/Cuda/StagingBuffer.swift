/// A piece of host memory through which bytes of a GPU pass on their way to and from a socket: page-locked if the driver
/// has such memory to give, else plain.
///
/// `@unchecked Sendable`: it belongs to one thread at a time, which is its owner's concern.
public final class StagingBuffer: @unchecked Sendable {
  /// Its length in bytes: long enough for a copy's and a system call's fixed costs not to count, short enough to be kept
  /// by every connection.
  public static let length = 1 << 20

  /// The first byte.
  public let baseAddress: UnsafeMutableRawPointer
  private let context: CUDAContext
  private let isPageLocked: Bool

  /// Takes the memory from the driver under `context`.
  public init(_ context: CUDAContext) {
    self.context = context
    if let memory = context.allocateHost(Self.length) {
      baseAddress = memory
      isPageLocked = true
    } else {
      baseAddress = .allocate(byteCount: Self.length, alignment: 4096)
      isPageLocked = false
    }
  }

  deinit {
    if isPageLocked { context.freeHost(baseAddress) } else { baseAddress.deallocate() }
  }
}
