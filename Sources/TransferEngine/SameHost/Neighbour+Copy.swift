internal import CLinux
internal import Glibc

extension Neighbour {
  /// Requests that one system call serves at most, as many as have their addresses on the stack (1 KiB), and bytes
  /// from which on it takes no further one.
  private static let windowLimit = 30
  static let windowBytes = 1 << 20

  /// Copies the requests that are linked from `first` on, and settles them. The caller has place `slot`.
  func copy(_ first: WorkRequestPointer, slot: Int, _ settlement: inout Settlement, _ traffic: inout SameHostStatistics)
  {
    var cursor: WorkRequestPointer? = first
    while let request = cursor {
      guard isReachable else {
        cursor = request.pointee.next
        fail(request, as: .failed, &settlement, &traffic)
        continue
      }
      guard request.pointee.deadline > Clock.now else {
        cursor = request.pointee.next
        fail(request, as: .timedOut, &settlement, &traffic)
        continue
      }
      slots.enter(slot)
      defer { slots.leave(slot) }
      if let mapped = request.pointee.descriptor {
        cursor = request.pointee.next
        move(request, mapped, &settlement, &traffic)
      } else {
        cursor = call(request, &settlement, &traffic)
      }
    }
  }

  /// A request to memory that is mapped here.
  private func move(
    _ request: WorkRequestPointer, _ mapped: UnsafeMutableRawPointer, _ settlement: inout Settlement,
    _ traffic: inout SameHostStatistics
  ) {
    guard BoardLayout.holds(request.pointee.key, in: board), let local = request.pointee.local else {
      return fail(request, as: .failed, &settlement, &traffic)
    }
    switch request.pointee.opcode {
    case .write: memcpy(mapped, local, request.pointee.length)
    case .read: memcpy(local, mapped, request.pointee.length)
    }
    traffic.mappedBytes &+= UInt64(request.pointee.length)
    traffic.operations &+= 1
    settlement.complete(request)
  }

  /// As many of the requests from `first` on as one call can take. Returns the next one.
  private func call(
    _ first: WorkRequestPointer, _ settlement: inout Settlement, _ traffic: inout SameHostStatistics
  ) -> WorkRequestPointer? {
    var word: (UInt64, UInt64) = (1, 0)
    return withUnsafeMutableBytes(of: &word) { word in
      withUnsafeTemporaryAllocation(of: clinux_part.self, capacity: 2 * (Self.windowLimit + 1)) { parts in
        guard let here = parts.baseAddress else { return first.pointee.next }
        let there = here + Self.windowLimit + 1
        let opcode = first.pointee.opcode
        let guardLength = opcode == .write ? 8 : GuardPage.tokenLength
        let guardOffset = opcode == .write ? GuardPage.writtenOffset : 0
        here.initialize(to: clinux_part(base: word.baseAddress, length: guardLength))
        there.initialize(
          to: clinux_part(
            base: UnsafeMutableRawPointer(bitPattern: guardAddress &+ guardOffset), length: guardLength))
        var count = 0
        var bytes = 0
        var next: WorkRequestPointer? = first
        while count < Self.windowLimit, let request = next, request.pointee.opcode == opcode,
          request.pointee.descriptor == nil, count == 0 || bytes &+ request.pointee.length <= Self.windowBytes,
          BoardLayout.holds(request.pointee.key, in: board)
        {
          count &+= 1
          (here + count).initialize(
            to: clinux_part(base: request.pointee.local, length: request.pointee.length))
          (there + count).initialize(
            to: clinux_part(
              base: UnsafeMutableRawPointer(bitPattern: UInt(truncatingIfNeeded: request.pointee.remote)),
              length: request.pointee.length))
          bytes &+= request.pointee.length
          next = request.pointee.next
        }
        guard count > 0 else {
          // It was withdrawn since it was planned for.
          next = first.pointee.next
          fail(first, as: .failed, &settlement, &traffic)
          return next
        }
        let copied =
          opcode == .write
          ? clinux_process_write(process, here, count + 1, there, count + 1)
          : clinux_process_read(process, here, count + 1, there, count + 1)
        let code = errno
        guard copied >= guardLength, opcode == .write || isToken(word) else {
          // Not even the guard's word: it is gone. Nothing of ours has been touched there.
          if copied >= 0 || code != ENOMEM {
            lose(copied < 0 ? StreamSocket.describe(code) : "its process is another one")
          }
          next = first.pointee.next
          fail(first, as: .failed, &settlement, &traffic)
          return next
        }
        return settle(first, bytes: copied - guardLength, count: count, &settlement, &traffic)
      }
    }
  }

  private func isToken(_ word: UnsafeMutableRawBufferPointer) -> Bool {
    word.loadUnaligned(as: UInt64.self) == token.0
      && word.loadUnaligned(fromByteOffset: 8, as: UInt64.self) == token.1
  }

  /// Settles those of `count` requests that `bytes` bytes are all of. The one after them has met memory that is not
  /// there, here or at the neighbour's; those behind it are as they were. Returns the next one to copy.
  private func settle(
    _ first: WorkRequestPointer, bytes: Int, count: Int, _ settlement: inout Settlement,
    _ traffic: inout SameHostStatistics
  ) -> WorkRequestPointer? {
    var cursor: WorkRequestPointer? = first
    var remaining = bytes
    for _ in 0..<count {
      guard let request = cursor else { break }
      let length = request.pointee.length
      cursor = request.pointee.next
      guard remaining >= length else {
        fail(request, as: .failed, &settlement, &traffic)
        return cursor
      }
      remaining &-= length
      traffic.copiedBytes &+= UInt64(length)
      traffic.operations &+= 1
      settlement.complete(request)
    }
    return cursor
  }

  private func fail(
    _ request: WorkRequestPointer, as state: TransferStatus.State, _ settlement: inout Settlement,
    _ traffic: inout SameHostStatistics
  ) {
    traffic.failures &+= 1
    settlement.fail(request, as: state)
  }
}
