/// How long the operations of one call of `submit` are.
///
/// Every operation costs its few hundred instructions, so neighbours are merged; every rail is to have work, so large
/// requests are split. Both towards the same length: each rail gets ``turns`` operations, as long as they are then worth
/// their cost.
struct OperationSize {
  /// Bytes of the whole call.
  let total: Int
  /// The most bytes of one operation, which the provider tells.
  let maximum: Int

  /// Operations per rail that a call is divided into, so that a rail that is slower is waited for half as long.
  static let turns = 2
  /// Operations are not made shorter than this, in bytes: from here on a NIC of 400 Gbps needs longer for the bytes
  /// (2.6 us) than a core for the operation. The libraries that EFA's users know stripe from here on as well.
  static let smallest = 128 << 10
  /// Neighbours are not merged beyond this, in bytes, and longer parts are not made where there are several rails: what
  /// an operation costs is nothing beside so many bytes.
  static let largest = 1 << 20
  /// Parts begin at multiples of this, in bytes from the request's beginning: two lines of the cache.
  static let alignment = 128

  /// The length to aim at for memory that `rails` rails reach, in bytes.
  func wanted(rails: Int) -> Int {
    min(max(total / (Self.turns * max(1, rails)), Self.smallest), Self.largest, maximum)
  }

  /// The most bytes of an operation of a request of `length` bytes: equal parts where it is long enough for several, so
  /// that none is a useless rest. A single rail gains nothing from parts.
  @inline(__always)
  func limit(_ length: Int, wanted: Int, rails: Int) -> Int {
    length < 2 &* wanted || rails == 1 ? maximum : part(of: length, wanted: wanted)
  }

  @inline(never)
  private func part(of length: Int, wanted: Int) -> Int {
    let count = length / wanted
    let part = (length - 1) / count + 1
    return min((part + Self.alignment - 1) & ~(Self.alignment - 1), maximum)
  }
}
