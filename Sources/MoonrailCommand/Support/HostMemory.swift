internal import Glibc
internal import Memory

/// A buffer of this process that can be kept in an array.
///
/// Threads use disjoint parts of it; whoever hands out the parts sees to that.
final class HostMemory: @unchecked Sendable {
  private let buffer: HostBuffer
  let node: Int?

  /// `length` bytes on NUMA node `node`, all of them present.
  ///
  /// - Parameter isShareable: Whether engines on this host may map it.
  init(length: Int, node: Int? = nil, byte: UInt8 = 0, isShareable: Bool = false) throws(CommandFailure) {
    do {
      buffer = try HostBuffer(length: length, numaNode: node, isShareable: isShareable)
    } catch {
      throw CommandFailure("error: \(byteText(length)) of memory: \(error)")
    }
    self.node = node
    memset(buffer.baseAddress, Int32(byte), length)
  }

  var baseAddress: UnsafeMutableRawPointer { buffer.baseAddress }
  var length: Int { buffer.length }

  /// The bytes from `offset`, which must be inside of the buffer, as are the `count` bytes after it.
  func bytes(from offset: Int = 0, count: Int) -> UnsafeMutableRawBufferPointer {
    precondition(offset >= 0 && count >= 0 && offset <= length - count)
    return UnsafeMutableRawBufferPointer(start: baseAddress + offset, count: count)
  }
}
