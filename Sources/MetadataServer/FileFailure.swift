internal import Glibc

/// A system call on a file that failed.
struct FileFailure: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }

  /// What the last system call said.
  init(_ call: String, _ path: String) { description = "\(call) \(path): \(String(cString: strerror(errno)))" }
}

/// The system calls that the journal needs, whole or failed.
enum FileCalls {
  /// Opens a file for reading and writing, and makes it if it is not there.
  static func open(_ path: String, truncating: Bool = false) throws(FileFailure) -> Int32 {
    // O_NONBLOCK: a pipe under that name must not keep us.
    let flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK | (truncating ? O_TRUNC : 0)
    let file = Glibc.open(path, flags, 0o640)
    guard file >= 0 else { throw FileFailure("open", path) }
    return file
  }

  /// What the file is.
  static func status(_ file: Int32, _ path: String) throws(FileFailure) -> stat {
    var status = stat()
    guard fstat(file, &status) == 0 else { throw FileFailure("stat", path) }
    return status
  }

  /// Reads up to `count` bytes; fewer only at the end of the file.
  static func read(_ file: Int32, _ path: String, at offset: Int, count: Int) throws(FileFailure) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var filled = 0
    while filled < count {
      let result = bytes.withUnsafeMutableBytes { target in
        pread(file, target.baseAddress.map { $0 + filled }, count - filled, off_t(offset + filled))
      }
      if result < 0 && errno == EINTR { continue }
      guard result >= 0 else { throw FileFailure("read", path) }
      guard result > 0 else { break }
      filled += result
    }
    bytes.removeLast(count - filled)
    return bytes
  }

  /// Writes all of the bytes.
  static func write(_ bytes: UnsafeRawBufferPointer, _ file: Int32, _ path: String, at offset: Int) throws(FileFailure)
  {
    var written = 0
    while written < bytes.count {
      let result = pwrite(file, bytes.baseAddress.map { $0 + written }, bytes.count - written, off_t(offset + written))
      if result < 0 && errno == EINTR { continue }
      guard result > 0 else { throw FileFailure("write", path) }
      written += result
    }
  }

  /// Cuts the file.
  static func truncate(_ file: Int32, _ path: String, to length: Int) throws(FileFailure) {
    guard ftruncate(file, off_t(length)) == 0 else { throw FileFailure("truncate", path) }
  }

  /// Waits until the disk has it.
  static func synchronise(_ file: Int32, _ path: String) throws(FileFailure) {
    guard fsync(file) == 0 else { throw FileFailure("fsync", path) }
  }

  /// Waits until the disk has the names in the file's directory.
  static func synchroniseDirectory(of path: String) throws(FileFailure) {
    let directory = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
    let file = Glibc.open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard file >= 0 else { throw FileFailure("open", directory) }
    defer { close(file) }
    try synchronise(file, directory)
  }
}
