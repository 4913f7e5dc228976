internal import CPython
internal import Glibc
internal import TransferEngine

/// Copies from and to addresses of this process that a caller names. A wrong one is an answer, not the end of the
/// process, because the kernel does the copying.
enum OwnMemory {
  /// - Returns: Whether all of it is there.
  static func read(into room: UnsafeMutableRawBufferPointer, from address: UInt) -> Bool {
    copy(room.count, address) { done, there, length in
      guard let base = room.baseAddress else { return 0 }
      return cpython_copy_in(base + done, there, length)
    } plainly: { there in
      room.baseAddress?.copyMemory(from: there, byteCount: room.count)
    }
  }

  /// - Returns: Whether all of it is written.
  static func write(_ bytes: UnsafeRawBufferPointer, to address: UInt) -> Bool {
    copy(bytes.count, address) { done, there, length in
      guard let base = bytes.baseAddress else { return 0 }
      return cpython_copy_out(base + done, there, length)
    } plainly: { there in
      if let base = bytes.baseAddress { there.copyMemory(from: base, byteCount: bytes.count) }
    }
  }

  /// - Parameter plainly: For a kernel that does not do such a thing for this process.
  private static func copy(
    _ length: Int, _ address: UInt, _ call: (Int, UnsafeMutableRawPointer, Int) -> Int,
    plainly: (UnsafeMutableRawPointer) -> Void
  ) -> Bool {
    guard length > 0 else { return true }
    guard let there = UnsafeMutableRawPointer(bitPattern: address), address <= UInt.max - UInt(length),
      !TransferEngine.isGPUMemory(address)
    else {
      return false
    }
    var done = 0
    while done < length {
      let count = call(done, there + done, length - done)
      if count > 0 {
        done += count
      } else if count < 0, done == 0, errno == ENOSYS || errno == EPERM {
        plainly(there)
        return true
      } else {
        return false
      }
    }
    return true
  }
}
