internal import Glibc

/// Which host this process is on, as far as reaching its neighbours goes.
enum HostIdentity {
  /// The kernel's boot, and the network namespace, in which a local socket's name is known; nil where `/proc` does not
  /// tell. Processes with the same one can try to meet; whether they may is found out then.
  static let current: String? = {
    guard let boot = text("/proc/sys/kernel/random/boot_id"), !boot.isEmpty else { return nil }
    var status = stat()
    guard stat("/proc/self/ns/net", &status) == 0 else { return nil }
    return "\(boot)-\(status.st_ino)"
  }()

  /// The name of the socket on which the engine `incarnation` meets its neighbours, without the zero byte before it
  /// that makes it one without a file.
  static func socketName(_ incarnation: String) -> String { "moonrail-\(incarnation)" }

  /// The address of that socket; nil for a name that is too long.
  static func address(_ incarnation: String) -> (address: sockaddr_un, length: socklen_t)? {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let name = [0] + Array(socketName(incarnation).utf8)
    guard name.count < MemoryLayout.size(ofValue: address.sun_path) else { return nil }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
    return (address, socklen_t(MemoryLayout<sa_family_t>.size + name.count))
  }

  private static func text(_ path: String) -> String? {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 64)
    let count = read(file, &bytes, bytes.count)
    guard count > 0 else { return nil }
    return String(decoding: bytes[0..<count].prefix { $0 > 32 }, as: UTF8.self)
  }
}
