internal import Cuda
internal import Memory

/// Where a buffer is that is to be registered.
struct Placement {
  /// `cpu:0`, `cuda:3`, `*`.
  let location: String
  /// The context of the GPU whose memory it is; nil for host memory.
  let gpu: CUDAContext?
  /// Whether CUDA moves it between host and GPU, so that no NIC can have it.
  let isManaged: Bool

  /// Finds out. What the driver says goes before what the caller says.
  ///
  /// - Throws: ``TransferError`` if it is on both sides, or elsewhere than a `location` other than `*` says.
  init(_ buffer: BufferEntry, location: String, driver: CUDADriver?) throws(TransferError) {
    let kind = try Self.kind(of: buffer, driver)
    switch kind {
    case .host:
      guard location == MemoryLocation.anywhere || location.hasPrefix("cpu:") else {
        throw TransferError(
          .invalidArgument,
          "Memory at '\(location)' cannot be registered: "
            + (driver == nil
              ? "this process has not loaded CUDA (libcuda.so.1), so that it has host memory only ('cpu:<node>' or '*')."
              : "to CUDA 0x\(String(buffer.address, radix: 16)) is host memory ('cpu:<node>' or '*')."))
      }
      guard let address = UnsafeRawPointer(bitPattern: buffer.address) else {
        throw TransferError(.invalidArgument, "A buffer needs an address.")
      }
      self.location = location == MemoryLocation.anywhere ? MemoryLocation.location(of: address) : location
      gpu = nil
      isManaged = false
    case .device(let ordinal), .managed(let ordinal):
      do {
        gpu = try driver?.context(of: ordinal)
      } catch {
        throw TransferError(.context, "GPU \(ordinal), whose memory is to be registered, cannot be used: \(error)")
      }
      self.location = "cuda:\(ordinal)"
      isManaged = kind == .managed(ordinal)
    }
  }

  private static func kind(
    of buffer: BufferEntry, _ driver: CUDADriver?
  ) throws(TransferError) -> CUDADriver.MemoryKind {
    guard let driver else { return .host }
    let (first, last): (CUDADriver.MemoryKind, CUDADriver.MemoryKind)
    do {
      first = try driver.kind(of: buffer.address)
      last = try driver.kind(of: buffer.address + UInt(buffer.length - 1))
    } catch {
      throw TransferError(
        .memory, "Whether 0x\(String(buffer.address, radix: 16)) is memory of a GPU cannot be found out: \(error)")
    }
    guard first == last else {
      throw TransferError(
        .invalidArgument,
        "The buffer of \(buffer.length) bytes at 0x\(String(buffer.address, radix: 16)) begins in memory of kind"
          + " \(first) and ends in \(last). Register each part by itself, with its own length.")
    }
    return first
  }
}
