import CFabric
import Glibc

/// The memory that a `fid` pointer leads to. Swift's object, and the network it belongs to, stand right in front of the
/// `fid`, so that they are found whatever kind of `fid` it is.
///
/// The memory outlives `fi_close` and is freed with its network, so that the use of a closed object is noticed.
enum Handle {
  private static let header = 16

  /// Makes the memory of an object that is open from now on.
  static func make<Fid>(
    _ fid: Fid, for object: SimulatedObject, _ state: inout Network.State
  ) -> UnsafeMutablePointer<Fid> {
    guard let memory = calloc(1, header + MemoryLayout<Fid>.size) else { fatalError("out of memory") }
    let words = memory.assumingMemoryBound(to: UnsafeMutableRawPointer?.self)
    words[0] = Unmanaged.passRetained(object).toOpaque()
    words[1] = Unmanaged.passUnretained(object.network).toOpaque()
    state.handles.append(memory)
    state.counters.openObjects[object.kind.rawValue, default: 0] += 1
    let place = (memory + header).assumingMemoryBound(to: Fid.self)
    place.initialize(to: fid)
    object.handle = UnsafeMutableRawPointer(place)
    return place
  }

  /// The object behind a `fid`; nil once it is closed.
  static func object(behind fid: UnsafeMutableRawPointer) -> SimulatedObject? {
    guard let word = words(fid)[0] else { return nil }
    return Unmanaged<SimulatedObject>.fromOpaque(word).takeUnretainedValue()
  }

  /// The network of a `fid`, open or closed.
  static func network(behind fid: UnsafeMutableRawPointer) -> Network? {
    guard let word = words(fid)[1] else { return nil }
    return Unmanaged<Network>.fromOpaque(word).takeUnretainedValue()
  }

  /// Lets go of the object.
  static func close(_ fid: UnsafeMutableRawPointer) {
    guard let word = words(fid)[0] else { return }
    words(fid)[0] = nil
    Unmanaged<SimulatedObject>.fromOpaque(word).release()
  }

  private static func words(_ fid: UnsafeMutableRawPointer) -> UnsafeMutablePointer<UnsafeMutableRawPointer?> {
    (fid - header).assumingMemoryBound(to: UnsafeMutableRawPointer?.self)
  }
}
