internal import Synchronization
internal import Glibc

/// A transfer within the process: a copy, in the direction of the opcode.
enum LocalCopy {
  /// Copies, and settles the request's task. Both ranges are known to be registered.
  static func run(_ request: TransferRequest, task: UnsafeMutablePointer<TransferTask>, batch: BatchPointer) {
    let near = UnsafeMutableRawPointer(bitPattern: request.local)
    let far = UnsafeMutableRawPointer(bitPattern: UInt(truncatingIfNeeded: request.remote))
    if let near, let far, request.length > 0 {
      switch request.opcode {
      case .read: memmove(near, far, request.length)
      case .write: memmove(far, near, request.length)
      }
    }
    let length = UInt64(truncatingIfNeeded: request.length)
    task.pointee.bytes.store(length, ordering: .relaxed)
    task.pointee.remaining.store(0, ordering: .releasing)
    batch.pointee.transferred.add(length, ordering: .relaxed)
    batch.settle(1)
  }
}
