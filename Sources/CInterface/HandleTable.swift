internal import Glibc
internal import Synchronization

/// The engines that C callers hold, found by opaque handles without a lock.
///
/// A handle names a slot and one life of it, and is never followed as an address: what is none, or is no longer, is
/// recognised.
struct HandleTable: @unchecked Sendable {
  static let shared = HandleTable()

  /// Engines that one process may have at once.
  static let capacity = 1024
  /// How long a caller may still be inside of an engine that is shut down, in milliseconds.
  private static let patience = 60_000

  /// In the bits above those of an address, so that following a handle by mistake is a fault, never another's memory.
  private static let mark: UInt = 0x6D72
  /// Callers may get in.
  private static let open: UInt64 = 1 << 31
  private static let pins: UInt64 = open - 1

  private struct Slot: ~Copyable {
    /// The life in the upper half, whether it is open, and how many callers are inside.
    let state = Atomic<UInt64>(0)
    /// 0: free. Otherwise an `EngineCell` that is retained, or 1 while there is none yet.
    let engine = Atomic<UInt>(0)
  }

  private let slots: UnsafeMutablePointer<Slot>

  private init() {
    slots = .allocate(capacity: Self.capacity)
    for index in 0..<Self.capacity { (slots + index).initialize(to: Slot()) }
  }

  /// Takes an engine in. nil if the table is full.
  func insert(_ engine: EngineCell) -> UnsafeMutableRawPointer? {
    for index in 0..<Self.capacity {
      let taken = slots[index].engine.compareExchange(expected: 0, desired: 1, ordering: .acquiring)
      guard taken.exchanged else { continue }
      let life = UInt64(UInt32(truncatingIfNeeded: slots[index].state.load(ordering: .relaxed) >> 32) &+ 1)
      slots[index].engine.store(UInt(bitPattern: Unmanaged.passRetained(engine).toOpaque()), ordering: .relaxed)
      slots[index].state.store(life << 32 | Self.open, ordering: .releasing)
      return UnsafeMutableRawPointer(bitPattern: Self.mark << 48 | UInt(life) << 16 | UInt(index + 1))
    }
    return nil
  }

  /// Runs `body` with the engine, which stays for so long. nil if there is none behind the handle.
  @inline(__always)
  func with<R>(_ handle: UnsafeMutableRawPointer?, _ body: (EngineCell) -> R) -> R? {
    guard let (index, life) = Self.parse(handle) else { return nil }
    var seen = slots[index].state.load(ordering: .relaxed)
    while true {
      guard seen >> 32 == life, seen & Self.open != 0, seen & Self.pins < Self.pins else { return nil }
      let outcome = slots[index].state.weakCompareExchange(
        expected: seen, desired: seen + 1, successOrdering: .acquiring, failureOrdering: .relaxed)
      if outcome.exchanged { break }
      seen = outcome.original
    }
    defer { slots[index].state.subtract(1, ordering: .releasing) }
    guard let address = UnsafeRawPointer(bitPattern: slots[index].engine.load(ordering: .relaxed)) else { return nil }
    return Unmanaged<EngineCell>.fromOpaque(address)._withUnsafeGuaranteedRef { body($0) }
  }

  /// Lets nobody in any more, shuts the engine down, and frees it when those inside have left. Of several threads one
  /// does; for the others there is no engine any more.
  func remove(_ handle: UnsafeMutableRawPointer?) {
    guard let (index, life) = Self.parse(handle) else { return }
    var seen = slots[index].state.load(ordering: .relaxed)
    while true {
      guard seen >> 32 == life, seen & Self.open != 0 else { return }
      let outcome = slots[index].state.weakCompareExchange(
        expected: seen, desired: seen & ~Self.open, successOrdering: .acquiringAndReleasing,
        failureOrdering: .relaxed)
      if outcome.exchanged { break }
      seen = outcome.original
    }
    guard let address = UnsafeRawPointer(bitPattern: slots[index].engine.load(ordering: .relaxed)) else { return }
    let engine = Unmanaged<EngineCell>.fromOpaque(address)
    engine._withUnsafeGuaranteedRef { $0.shutdown() }
    // In a forked child, callers of the parent who were inside at the fork will never leave.
    var left = engine._withUnsafeGuaranteedRef { $0.isForeign } ? 0 : Self.patience
    while slots[index].state.load(ordering: .acquiring) & Self.pins > 0 {
      guard left > 0 else { return }
      left -= 1
      usleep(1000)
    }
    engine.release()
    slots[index].engine.store(0, ordering: .releasing)
  }

  /// The handles of all engines that there are.
  var handles: [UnsafeMutableRawPointer] {
    (0..<Self.capacity).compactMap { index in
      let state = slots[index].state.load(ordering: .acquiring)
      guard state & Self.open != 0 else { return nil }
      return UnsafeMutableRawPointer(bitPattern: Self.mark << 48 | UInt(state >> 32) << 16 | UInt(index + 1))
    }
  }

  private static func parse(_ handle: UnsafeMutableRawPointer?) -> (index: Int, life: UInt64)? {
    let value = UInt(bitPattern: handle)
    let index = Int(truncatingIfNeeded: value & 0xFFFF) - 1
    guard value >> 48 == mark, index >= 0, index < capacity else { return nil }
    return (index, UInt64(value >> 16) & 0xFFFF_FFFF)
  }
}
