internal import CTransferEngine
internal import DropIn
internal import Synchronization
internal import TransferEngine

extension EngineCell {
  /// Opens a segment, and remembers under which number.
  func open(_ name: String, anew: Bool) throws(TransferError) -> Int32 {
    try installed { engine throws(TransferError) in
      let segment = try engine.openSegment(name)
      do throws(TransferError) {
        if anew, segment != .local { try engine.syncSegmentCache(name) }
        guard let number = Int32(exactly: segment.rawValue) else {
          throw TransferError(.tooManyRequests, "All numbers of segments have been used. Create a new engine.")
        }
        if number != LOCAL_SEGMENT {
          state.withLock { $0.openings[number, default: Opening(name: name, count: 0)].count += 1 }
        }
        return number
      } catch {
        try? engine.closeSegment(segment)
        throw error
      }
    }
  }

  /// Takes back one opening.
  func close(_ number: Int32) throws(TransferError) {
    guard number >= 0 else { throw TransferError(.invalidArgument, "There is no segment \(number).") }
    try installed { engine throws(TransferError) in
      try engine.closeSegment(SegmentID(rawValue: UInt64(number)))
      state.withLock { state in
        guard var opening = state.openings[number] else { return }
        opening.count -= 1
        state.openings[number] = opening.count > 0 ? opening : nil
      }
    }
  }

  /// Takes back all openings of a segment.
  func forget(_ name: String) throws(TransferError) {
    let found = state.withLock { state in
      state.openings.filter { $0.value.name == name }
    }
    for (number, opening) in found {
      // Another thread may be closing it as well.
      for _ in 0..<opening.count { try? close(number) }
    }
  }

  /// The name under which a segment was opened.
  func name(of target: UInt64) throws(TransferError) -> String {
    if target == UInt64(LOCAL_SEGMENT) {
      return try with { engine throws(TransferError) in try engine.engine.name }
    }
    let name = Int32(exactly: target).flatMap { number in state.withLock { $0.openings[number]?.name } }
    guard let name else { throw TransferError(.invalidArgument, "Segment \(target) is not open.") }
    return name
  }
}

/// `openSegment` of `transfer_engine_c.h`, which describes it.
@c @implementation
public func openSegment(_ engine: UnsafeMutableRawPointer?, _ name: UnsafePointer<CChar>?) -> Int32 {
  Calls.result(engine, "openSegment") { cell throws(TransferError) in
    try cell.open(try Calls.text(name, "segment_name"), anew: false)
  } otherwise: { _ in
    -1
  }
}

/// `openSegmentNoCache` of `transfer_engine_c.h`, which describes it.
@c @implementation
public func openSegmentNoCache(_ engine: UnsafeMutableRawPointer?, _ name: UnsafePointer<CChar>?) -> Int32 {
  Calls.result(engine, "openSegmentNoCache") { cell throws(TransferError) in
    try cell.open(try Calls.text(name, "segment_name"), anew: true)
  } otherwise: { _ in
    -1
  }
}

/// `closeSegment` of `transfer_engine_c.h`, which describes it.
@c @implementation
public func closeSegment(_ engine: UnsafeMutableRawPointer?, _ segment: Int32) -> Int32 {
  Calls.code(engine, "closeSegment") { cell throws(TransferError) in
    try cell.close(segment)
    return 0
  }
}

/// `removeLocalSegment` of `transfer_engine_c.h`, which describes it.
@c @implementation
public func removeLocalSegment(_ engine: UnsafeMutableRawPointer?, _ name: UnsafePointer<CChar>?) -> Int32 {
  Calls.code(engine, "removeLocalSegment") { cell throws(TransferError) in
    try cell.forget(try Calls.text(name, "segment_name"))
    return 0
  }
}

/// `warmupEfaSegment` of `transfer_engine_c.h`, which describes it.
@c @implementation
public func warmupEfaSegment(_ engine: UnsafeMutableRawPointer?, _ name: UnsafePointer<CChar>?) -> Int32 {
  Calls.code(engine, "warmupEfaSegment") { cell throws(TransferError) in
    let name = try Calls.text(name, "segment_name")
    guard try cell.hasFabric() else { return 0 }
    _ = try cell.installed { engine throws(TransferError) in try engine.warmup(segment: name) }
    return 0
  }
}

/// `syncSegmentCache` of `transfer_engine_c.h`, which describes it.
@c @implementation
public func syncSegmentCache(_ engine: UnsafeMutableRawPointer?) -> Int32 {
  Calls.code(engine, "syncSegmentCache") { cell throws(TransferError) in
    try cell.with { engine throws(TransferError) in try engine.engine.syncSegmentCache() }
    return 0
  }
}
