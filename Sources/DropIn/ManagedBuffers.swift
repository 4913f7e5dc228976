internal import Memory

/// Memory that an engine hands out, already registered: cut from arenas in pieces of 8 KiB times a power of two, so that
/// a small buffer costs no registration of its own.
struct ManagedBuffers: ~Copyable {
  /// The smallest piece.
  static let smallest = 8 << 10
  /// The largest piece of an arena; what is larger has memory of its own. Both as upstream has them.
  static let largest = 256 << 20
  /// What an arena has room for at least.
  static let arenaSize = 64 << 20

  private struct Owner: ~Copyable {
    let memory: HostBuffer
    var used = 0
  }

  private final class Arena {
    var owner: Owner
    init(_ memory: consuming HostBuffer) { owner = Owner(memory: memory) }
  }

  /// Whether other engines on this host may map it.
  private let isShareable: Bool
  /// The newest last; pieces are cut from that one.
  private var arenas: [Arena] = []
  /// What is larger than ``largest``, by address.
  private var single: [UInt: Arena] = [:]
  /// Pieces that were given back, by their size.
  private var free: [Int: [UInt]] = [:]
  /// The sizes of the pieces that are out, by address.
  private var taken: [UInt: Int] = [:]

  init(isShareable: Bool) { self.isShareable = isShareable }

  /// The size of the piece that `length` bytes get.
  static func pieceSize(_ length: Int) -> Int {
    var size = smallest
    while size < length { size <<= 1 }
    return size
  }

  /// Memory for `length` bytes; `register` is told of every new mapping.
  ///
  /// - Returns: nil if there is no memory.
  mutating func take<Failure: Error>(
    _ length: Int, register: (UnsafeMutableRawPointer, Int) throws(Failure) -> Void
  ) throws(Failure) -> UnsafeMutableRawPointer? {
    guard length > 0 else { return nil }
    if length > Self.largest {
      guard let arena = map(length) else { return nil }
      let base = arena.owner.memory.baseAddress
      try register(base, length)
      single[UInt(bitPattern: base)] = arena
      return base
    }
    let size = Self.pieceSize(length)
    if let address = free[size]?.popLast() {
      taken[address] = size
      return UnsafeMutableRawPointer(bitPattern: address)
    }
    if arenas.last.map({ $0.owner.memory.length - $0.owner.used < size }) ?? true {
      let room = max(Self.arenaSize, size)
      guard let arena = map(room) else { return nil }
      try register(arena.owner.memory.baseAddress, room)
      retireRest()
      arenas.append(arena)
    }
    guard let arena = arenas.last else { return nil }
    let piece = arena.owner.memory.baseAddress + arena.owner.used
    arena.owner.used += size
    taken[UInt(bitPattern: piece)] = size
    return piece
  }

  /// Takes back what ``take(_:register:)`` gave; `unregister` is told of a mapping that goes.
  ///
  /// - Returns: Whether it was out.
  mutating func give<Failure: Error>(
    back address: UInt, unregister: (UnsafeMutableRawPointer) throws(Failure) -> Void
  ) throws(Failure) -> Bool {
    if let arena = single[address] {
      try unregister(arena.owner.memory.baseAddress)
      single[address] = nil
      return true
    }
    guard let size = taken.removeValue(forKey: address) else { return false }
    free[size, default: []].append(address)
    return true
  }

  /// Gives all memory back to the kernel. It must be unregistered.
  mutating func removeAll() {
    arenas.removeAll()
    single.removeAll()
    free.removeAll()
    taken.removeAll()
  }

  /// Keeps what is left of the newest arena as pieces of its own.
  private mutating func retireRest() {
    guard let arena = arenas.last else { return }
    var size = Self.largest
    while size >= Self.smallest {
      while arena.owner.memory.length - arena.owner.used >= size {
        free[size, default: []].append(UInt(bitPattern: arena.owner.memory.baseAddress + arena.owner.used))
        arena.owner.used += size
      }
      size >>= 1
    }
  }

  private func map(_ length: Int) -> Arena? {
    guard let memory = try? HostBuffer(length: length, hugePages: true, isShareable: isShareable) else { return nil }
    return Arena(memory)
  }
}
