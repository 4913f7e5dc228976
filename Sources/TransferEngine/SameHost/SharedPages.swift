internal import CLinux
internal import Glibc
internal import Synchronization

/// A file of memory that two processes have mapped.
final class SharedPages: @unchecked Sendable {
  typealias Word = UnsafeMutablePointer<Atomic<UInt64>>

  let base: UnsafeMutableRawPointer
  let length: Int
  /// What a neighbour is given; -1 in those that were given to us.
  let file: Int32

  /// New pages, zeroed.
  init(length: Int) throws(TransferError) {
    let file = clinux_memory_file("moonrail")
    guard file >= 0 else { throw Self.failure("memfd_create") }
    guard ftruncate(file, length) == 0, clinux_seal_size(file) == 0 else {
      defer { close(file) }
      throw Self.failure("a file of \(length) bytes")
    }
    guard let base = mmap(nil, length, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), base != MAP_FAILED else {
      defer { close(file) }
      throw Self.failure("mmap")
    }
    self.base = base
    self.length = length
    self.file = file
  }

  /// Those behind a file that a neighbour has given us; the file is closed.
  ///
  /// - Parameter length: What has to be there, and cannot go away: a page that did would end this process.
  init?(given file: Int32, length: Int, isWritable: Bool) {
    defer { if file >= 0 { close(file) } }
    var status = stat()
    guard file >= 0, length > 0, fstat(file, &status) == 0, status.st_size >= length, clinux_has_sealed_size(file) != 0
    else { return nil }
    let protection = isWritable ? PROT_READ | PROT_WRITE : PROT_READ
    guard let base = mmap(nil, length, protection, MAP_SHARED, file, 0), base != MAP_FAILED else { return nil }
    self.base = base
    self.length = length
    self.file = -1
  }

  deinit {
    munmap(base, length)
    if file >= 0 { close(file) }
  }

  /// The word at byte `offset`, a multiple of 8 inside.
  @inline(__always)
  func word(_ offset: Int) -> Word {
    (base + offset).assumingMemoryBound(to: Atomic<UInt64>.self)
  }

  private static func failure(_ call: String) -> TransferError {
    TransferError(.memory, "Memory to share with neighbours on this host: \(call): \(StreamSocket.describe(errno)).")
  }
}
