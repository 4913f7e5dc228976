internal import Cuda
internal import Synchronization

/// How many work requests use a registered region, so that it is not withdrawn under them.
struct RegionUse: ~Copyable {
  let count = Atomic<Int>(0)
  /// The context of the GPU whose memory it is, which only the driver copies from and to; nil for host memory.
  let gpu: CUDAContext?
}
