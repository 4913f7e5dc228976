internal import Cuda
internal import Synchronization
internal import Glibc

/// A transfer within the process: a copy, in the direction of the opcode.
enum LocalCopy {
  /// Copies, and settles the request's task. Both ranges are known to be registered.
  ///
  /// Returns why it failed; nil if it did not, as with host memory it cannot.
  static func run(
    _ request: TransferRequest, _ local: LocalSnapshot, task: UnsafeMutablePointer<TransferTask>, batch: BatchPointer
  ) -> CUDAError? {
    let (near, far) = (request.local, UInt(truncatingIfNeeded: request.remote))
    let (source, target) = request.opcode == .read ? (far, near) : (near, far)
    if local.hasGPUMemory,
      let gpu = local.gpu(of: source, length: request.length) ?? local.gpu(of: target, length: request.length)
    {
      do throws(CUDAError) {
        try gpu.copy(to: target, from: source, count: request.length)
      } catch {
        task.pointee.worst.store(TransferStatus.State.failed.rawValue, ordering: .relaxed)
        task.pointee.remaining.store(0, ordering: .releasing)
        batch.pointee.worst.max(TransferStatus.State.failed.rawValue, ordering: .relaxed)
        batch.settle(1)
        return error
      }
    } else if let from = UnsafeRawPointer(bitPattern: source), let to = UnsafeMutableRawPointer(bitPattern: target),
      request.length > 0
    {
      memmove(to, from, request.length)
    }
    let length = UInt64(truncatingIfNeeded: request.length)
    task.pointee.bytes.store(length, ordering: .relaxed)
    task.pointee.remaining.store(0, ordering: .releasing)
    batch.pointee.transferred.add(length, ordering: .relaxed)
    batch.settle(1)
    return nil
  }
}
