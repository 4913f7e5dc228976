internal import Glibc
internal import Memory

/// What a buffer's pages are to be like. Wishes: the kernel may have others.
struct MemoryKind: Sendable {
  /// Whether engines on this host may map it.
  var isShareable = false
  /// Whether the pages are to be huge ones, as those of the engine's own buffers.
  var hasHugePages = true
}

/// A buffer of this process that can be kept in an array.
///
/// Threads use disjoint parts of it; whoever hands out the parts sees to that.
final class HostMemory: @unchecked Sendable {
  private let buffer: HostBuffer
  let node: Int?

  /// `length` bytes on NUMA node `node`, all of them present.
  init(length: Int, node: Int? = nil, byte: UInt8 = 0, kind: MemoryKind = MemoryKind()) throws(CommandFailure) {
    do {
      buffer = try HostBuffer(
        length: length, numaNode: node, hugePages: kind.hasHugePages, isShareable: kind.isShareable)
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
