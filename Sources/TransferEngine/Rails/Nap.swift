internal import CLinux
internal import Glibc
internal import Synchronization

/// The sleep of one progress thread, between looking at its rails: for a time, until ``wake()``, or until a rail's
/// provider has something to do.
final class Nap: @unchecked Sendable {
  private let rails: [Rail]
  /// 1 while the thread may be asleep.
  private let isAsleep = Atomic<UInt32>(0)
  /// An eventfd that wakes it.
  private let alarm: Int32
  /// The alarm, and behind it what the rails' providers announce work by; the alarm alone, if one of them has no such
  /// thing. The thread's own.
  private let sources: UnsafeMutableBufferPointer<pollfd>

  /// Whether every rail's provider announces work.
  let hearsRails: Bool

  /// - Throws: ``TransferError`` where the process may not open another file.
  init(_ rails: [Rail]) throws(TransferError) {
    alarm = clinux_event_file()
    guard alarm >= 0 else {
      throw TransferError(
        .memory, "A progress thread got no eventfd (error \(errno)). Check the process's limits (ulimit -n).")
    }
    self.rails = rails
    let descriptors = rails.compactMap(\.waitDescriptor)
    hearsRails = descriptors.count == rails.count
    let watched = [alarm] + (hearsRails ? descriptors : [])
    sources = .allocate(capacity: watched.count)
    for (index, descriptor) in watched.enumerated() {
      sources.initializeElement(at: index, to: pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0))
    }
  }

  deinit {
    close(alarm)
    sources.deallocate()
  }

  /// What ended a sleep.
  enum End {
    case time
    /// Time, of a sleep in which no provider was listened to.
    case deafTime
    /// A call of ``wake()``, or what was looked at before.
    case call
    /// The provider of the rail at this place has something to do, after so many nanoseconds of sleep.
    case rail(Int, after: UInt64)
  }

  /// Sleeps for at most `nanoseconds`, or for `listening` where every provider wakes the thread when it is needed.
  ///
  /// - Parameters:
  ///   - listening: 0 where the providers are not to wake the thread.
  ///   - isNeeded: Looked at after the thread has become one that can be woken.
  func sleep(nanoseconds: UInt64, listening: UInt64, unless isNeeded: () -> Bool) -> End {
    isAsleep.store(1, ordering: .sequentiallyConsistent)
    defer { isAsleep.store(0, ordering: .relaxed) }
    guard !isNeeded() else { return .call }
    // A provider that has something to do already is looked at again after the shorter sleep: one that always has must
    // not keep the thread awake.
    let listens = listening > 0 && hearsRails && rails.allSatisfy { $0.maySleep() }
    let (count, limit) = listens ? (sources.count, listening) : (1, nanoseconds)
    let start = Clock.now
    guard clinux_poll(sources.baseAddress, count, Int64(clamping: limit)) > 0 else {
      return listens ? .time : .deafTime
    }
    if sources[0].revents != 0 {
      var alarms: UInt64 = 0
      _ = read(alarm, &alarms, 8)
      return .call
    }
    let slept = Clock.now &- start
    return sources[..<count].firstIndex { $0.revents != 0 }.map { .rail($0 - 1, after: slept) } ?? .time
  }

  /// Ends the sleep, if there is one.
  func wake() {
    guard isAsleep.exchange(0, ordering: .sequentiallyConsistent) != 0 else { return }
    var one: UInt64 = 1
    // It can fail only where the count is at its end, and then the alarm is on.
    _ = write(alarm, &one, 8)
  }
}
