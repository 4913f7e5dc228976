internal import Synchronization

/// How many work requests use a registered region, so that it is not withdrawn under them.
struct RegionUse: ~Copyable {
  let count = Atomic<Int>(0)
}
