internal import Cuda
internal import Synchronization

/// How many work requests use a registered region, so that it is not withdrawn under them.
struct RegionUse: ~Copyable {
  let count = Atomic<Int>(0)
  /// The context of the GPU whose memory it is, which only the driver copies from and to; nil for host memory.
  let gpu: CUDAContext?

  /// Of all memory that is not registered, which nobody waits for before it goes.
  nonisolated(unsafe) static let unregistered: UnsafeMutablePointer<RegionUse> = {
    let use = UnsafeMutablePointer<RegionUse>.allocate(capacity: 1)
    use.initialize(to: RegionUse(gpu: nil))
    return use
  }()
}
