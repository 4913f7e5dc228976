public import CTransferEngine
internal import DropIn
internal import Glibc
internal import Synchronization
internal import TransferEngine

/// How much a NIC has moved, and how fast of late.
struct NICLoad {
  /// Looks that are closer together than this say nothing about speed, in nanoseconds.
  private static let interval: UInt64 = 1_000_000

  private var bytes: UInt64
  private var time: UInt64
  /// Bytes per second.
  private(set) var speed = 0.0

  /// The first look.
  init(bytes: UInt64) {
    self.bytes = bytes
    time = Self.now
  }

  /// Another look. The time since the last one counts for a half, the one before for a quarter, and so on.
  mutating func look(bytes: UInt64) {
    let now = Self.now
    guard now >= time &+ Self.interval else { return }
    let moved = bytes >= self.bytes ? bytes - self.bytes : 0
    speed = (speed + Double(moved) * 1e9 / Double(now - time)) / 2
    self.bytes = bytes
    time = now
  }

  private static var now: UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(truncatingIfNeeded: time.tv_sec) &* 1_000_000_000 &+ UInt64(truncatingIfNeeded: time.tv_nsec)
  }
}

extension EngineCell {
  /// The load of every NIC, by name.
  func loads() throws(TransferError) -> [(name: String, speed: Double)] {
    let nics = try with { engine throws(TransferError) in try engine.engine.nics }
    return state.withLock { state in
      nics.map { nic in
        var load = state.loads[nic.name] ?? NICLoad(bytes: nic.transferredBytes)
        load.look(bytes: nic.transferredBytes)
        state.loads[nic.name] = load
        return (nic.name, load.speed)
      }
    }
  }
}

extension nic_load_stat {
  fileprivate init(name: String, speed: Double) {
    self.init()
    ewma_bandwidth_bps = speed
    withUnsafeMutableBytes(of: &device_name) { room in
      // The last byte stays 0.
      UnsafeMutableRawBufferPointer(rebasing: room.dropLast()).copyBytes(from: name.utf8.prefix(room.count - 1))
    }
  }
}

/// `getNicLoadStats` of `transfer_engine_c.h`, which describes it.
@c @implementation
public func getNicLoadStats(
  _ engine: UnsafeMutableRawPointer?, _ stats: UnsafeMutablePointer<nic_load_stat_t>?,
  _ count: UnsafeMutablePointer<Int>?
) -> Int32 {
  Calls.code(engine, "getNicLoadStats") { cell throws(TransferError) in
    guard let stats, let count else { throw TransferError(.invalidArgument, "stats or count is NULL.") }
    let loads = try cell.loads()
    // A count over Int.max arrives as a negative number.
    let room = count.pointee < 0 ? loads.count : count.pointee
    for (index, load) in loads.prefix(room).enumerated() {
      stats[index] = nic_load_stat_t(name: load.name, speed: load.speed)
    }
    count.pointee = loads.count
    return 0
  }
}
