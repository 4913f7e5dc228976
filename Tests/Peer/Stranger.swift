import CLinux
import Glibc

/// Somebody else on the local socket of an engine.
enum Stranger {
  /// `NAME REPLY [FILE_LENGTH FILE_LENGTH]`: listens on the local socket without a file that is called NAME, and answers
  /// the first words of each client with REPLY, in hexadecimal, and with files of those lengths; `-` for no answer.
  static func listen(_ words: [String]) throws -> String {
    guard words.count >= 2, let reply = bytes(words[1]) else {
      throw PeerError("expected NAME REPLY [FILE_LENGTH FILE_LENGTH]")
    }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let name = [0] + Array(words[0].utf8)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
    let listener = socket(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue), 0)
    let length = socklen_t(MemoryLayout<sa_family_t>.size + name.count)
    let result = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(listener, $0, length) }
    }
    guard listener >= 0, result == 0, Glibc.listen(listener, 8) == 0 else { throw PeerError("bind: error \(errno)") }
    var files: [Int32] = []
    for word in words.dropFirst(2) {
      let file = clinux_memory_file("stranger")
      guard file >= 0, let length = Int(word), ftruncate(file, length) == 0, clinux_seal_size(file) == 0 else {
        throw PeerError("no file")
      }
      // An engine's table begins with the same word as its answer.
      if reply.count >= 8 { pwrite(file, reply, 8, 0) }
      files.append(file)
    }
    let given = files
    var thread = pthread_t()
    let body = Unmanaged.passRetained(Body(listener: listener, reply: reply, files: given))
    pthread_create(
      &thread, nil,
      { argument in
        argument.map { Unmanaged<Body>.fromOpaque($0).takeRetainedValue().run() }
        return nil
      }, body.toOpaque())
    return "ok"
  }

  private final class Body {
    let listener: Int32
    let reply: [UInt8]
    let files: [Int32]

    init(listener: Int32, reply: [UInt8], files: [Int32]) {
      self.listener = listener
      self.reply = reply
      self.files = files
    }

    func run() {
      while true {
        let client = clinux_accept(listener)
        guard client >= 0 else { return }
        var bytes = [UInt8](repeating: 0, count: 4096)
        _ = recv(client, &bytes, bytes.count, 0)
        // Without an answer the client is left waiting, on a connection that stays.
        guard !reply.isEmpty else { continue }
        _ = clinux_send_files(client, reply, reply.count, files, files.count, 0)
      }
    }
  }

  private static func bytes(_ text: String) -> [UInt8]? {
    if text == "-" { return [] }
    let digits = Array(text.utf8)
    guard digits.count.isMultiple(of: 2) else { return nil }
    var bytes: [UInt8] = []
    for index in stride(from: 0, to: digits.count, by: 2) {
      guard let byte = UInt8(String(decoding: digits[index..<index + 2], as: UTF8.self), radix: 16) else { return nil }
      bytes.append(byte)
    }
    return bytes
  }
}
