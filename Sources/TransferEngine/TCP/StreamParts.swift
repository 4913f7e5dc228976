internal import CLinux

/// Where the bytes of a system call come from, or go to, and how far it has got.
struct StreamParts: ~Copyable {
  private let parts: UnsafeMutablePointer<clinux_part>
  private var first = 0
  private var end = 0

  init(capacity: Int) { parts = .allocate(capacity: capacity) }

  deinit { parts.deallocate() }

  var isEmpty: Bool { first == end }
  /// Parts that are not done with.
  var count: Int { end - first }

  mutating func removeAll() {
    first = 0
    end = 0
  }

  /// Adds a part. That there is room is the caller's concern.
  mutating func append(_ address: UnsafeMutableRawPointer?, _ length: Int) {
    parts[end] = clinux_part(base: address, length: length)
    end &+= 1
  }

  /// Makes the part that was added last longer.
  mutating func extendLast(by length: Int) { parts[end - 1].length &+= length }

  /// `bytes` of what is left are done.
  mutating func advance(by bytes: Int) {
    var rest = bytes
    while first < end {
      let here = parts[first].length
      guard rest >= here else {
        parts[first].base += rest
        parts[first].length -= rest
        return
      }
      rest -= here
      first += 1
    }
  }

  /// Sends what is left, or a part of it: the result of `sendmsg`.
  func send(to socket: Int32, _ flags: Int32) -> Int { clinux_send(socket, parts + first, count, flags) }

  /// Fills what is left, or a part of it: the result of `recvmsg`.
  func receive(from socket: Int32, _ flags: Int32) -> Int { clinux_receive(socket, parts + first, count, flags) }
}
