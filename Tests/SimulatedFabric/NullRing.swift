/// The contexts that were posted and not polled: a ring of a fixed size, in memory right behind this header.
struct NullRing {
  static let capacity = 8192

  private var posted: UInt = 0
  private var polled: UInt = 0

  typealias Pointer = UnsafeMutablePointer<NullRing>
  private typealias Slots = UnsafeMutablePointer<UnsafeMutableRawPointer?>

  static func make() -> Pointer {
    let slots = capacity * MemoryLayout<UnsafeMutableRawPointer?>.stride
    let memory = UnsafeMutableRawPointer.allocate(byteCount: MemoryLayout<NullRing>.stride + slots, alignment: 64)
    (memory + MemoryLayout<NullRing>.stride).initializeMemory(as: UInt8.self, repeating: 0, count: slots)
    let ring = memory.bindMemory(to: NullRing.self, capacity: 1)
    ring.initialize(to: NullRing())
    return ring
  }

  @inline(__always)
  private static func slots(_ ring: Pointer) -> Slots {
    UnsafeMutableRawPointer(ring + 1).assumingMemoryBound(to: UnsafeMutableRawPointer?.self)
  }

  @inline(__always)
  static func push(_ ring: Pointer, _ context: UnsafeMutableRawPointer?) {
    let posted = ring.pointee.posted
    slots(ring)[Int(bitPattern: posted & UInt(capacity - 1))] = context
    ring.pointee.posted = posted &+ 1
  }

  /// Hands over at most `count` contexts; how many there were.
  @inline(__always)
  static func pop(
    _ ring: Pointer, _ count: Int, _ body: (_ index: Int, _ context: UnsafeMutableRawPointer?) -> Void
  ) -> Int {
    let polled = ring.pointee.polled
    let taken = min(count, Int(bitPattern: ring.pointee.posted &- polled))
    var index = 0
    while index < taken {
      body(index, slots(ring)[Int(bitPattern: (polled &+ UInt(bitPattern: index)) & UInt(capacity - 1))])
      index &+= 1
    }
    ring.pointee.polled = polled &+ UInt(bitPattern: taken)
    return taken
  }
}
