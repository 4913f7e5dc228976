internal import Glibc

/// Small files as text. The kernel's files lie about their size, so they are read until they end.
enum FileText {
  /// Why a file could not be read: an `errno` value, `EFBIG` for one longer than the limit.
  struct Failure: Error {
    let errno: Int32

    var text: String {
      errno == EFBIG ? "it is longer than \(FileText.limit) bytes" : String(cString: strerror(errno))
    }
  }

  /// 4 MiB: a topology of a thousand NICs and locations is far below it.
  static let limit = 4 << 20

  static func bytes(of path: String) throws(Failure) -> [UInt8] {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw Failure(errno: errno) }
    defer { close(descriptor) }
    var content: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 4096)
    while true {
      let count = read(descriptor, &part, part.count)
      if count < 0 {
        if errno == EINTR { continue }
        throw Failure(errno: errno)
      }
      if count == 0 { return content }
      content += part[..<count]
      if content.count > limit { throw Failure(errno: EFBIG) }
    }
  }

  /// The first line of a file of the kernel's, without blanks at its end; nil if it cannot be read.
  static func line(of path: String) -> String? {
    guard let content = try? bytes(of: path) else { return nil }
    let line = content.prefix { $0 != UInt8(ascii: "\n") && $0 != 0 }
    return String(decoding: line, as: UTF8.self)
  }

  /// The path without symbolic links; nil if there is nothing there.
  static func realPath(_ path: String) -> String? {
    guard let resolved = realpath(path, nil) else { return nil }
    defer { free(resolved) }
    return String(cString: resolved)
  }
}
