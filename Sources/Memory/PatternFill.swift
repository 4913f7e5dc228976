/// A pattern that tells every place from every other, to fill memory with and to verify it after a transfer.
///
/// It is a sequence of 64-bit words, little-endian, each a function of a seed and of its position alone. Any part of it
/// can be made or checked on its own, and bytes from another place or of another seed do not match. Within a seed no
/// word comes twice.
public enum PatternFill {
  /// Writes the pattern.
  ///
  /// - Parameters:
  ///   - bytes: where to.
  ///   - seed: which pattern.
  ///   - offset: the place of the first byte in the pattern, in bytes. The pattern ends at 2^64.
  public static func fill(_ bytes: UnsafeMutableRawBufferPointer, seed: UInt64, offset: UInt64 = 0) {
    guard let base = bytes.baseAddress else { return }
    let layout = Layout(count: bytes.count, offset: offset)
    let key = key(seed)
    for index in 0..<layout.head {
      base.storeBytes(of: byte(key, offset &+ UInt64(index)), toByteOffset: index, as: UInt8.self)
    }
    var sum = sum(key, layout.firstWord)
    var index = layout.head
    while index < layout.tail {
      base.storeBytes(of: word(sum).littleEndian, toByteOffset: index, as: UInt64.self)
      sum &+= step
      index &+= 8
    }
    for index in layout.tail..<bytes.count {
      base.storeBytes(of: byte(key, offset &+ UInt64(index)), toByteOffset: index, as: UInt8.self)
    }
  }

  /// Checks bytes against the pattern.
  ///
  /// - Parameters: as for `fill`.
  /// - Returns: the index in `bytes` of the first one that differs; nil if all match.
  public static func firstMismatch(_ bytes: UnsafeRawBufferPointer, seed: UInt64, offset: UInt64 = 0) -> Int? {
    guard let base = bytes.baseAddress else { return nil }
    let layout = Layout(count: bytes.count, offset: offset)
    let key = key(seed)
    func mismatch(_ range: Range<Int>) -> Int? {
      range.first { base.load(fromByteOffset: $0, as: UInt8.self) != byte(key, offset &+ UInt64($0)) }
    }
    if let index = mismatch(0..<layout.head) { return index }
    var sum = sum(key, layout.firstWord)
    var index = layout.head
    // One branch per 64 bytes: eight words in a row keep the vector units busy.
    while layout.tail - index >= 64 {
      var difference: UInt64 = 0
      for word in 0..<8 {
        let found = base.loadUnaligned(fromByteOffset: index &+ word &* 8, as: UInt64.self)
        difference |= UInt64(littleEndian: found) ^ self.word(sum &+ UInt64(truncatingIfNeeded: word) &* step)
      }
      if difference != 0 { return mismatch(index..<index + 64) }
      sum &+= 8 &* step
      index &+= 64
    }
    return mismatch(index..<bytes.count)
  }

  /// Where the whole words of the pattern lie in a buffer: from `head` up to `tail`.
  private struct Layout {
    let head: Int
    let tail: Int
    let firstWord: UInt64

    init(count: Int, offset: UInt64) {
      let head = min(count, Int((8 - offset % 8) % 8))
      self.head = head
      tail = head + (count - head) / 8 * 8
      firstWord = (offset &+ UInt64(head)) / 8
    }
  }

  /// The odd number next to 2^64 over the golden ratio, SplitMix64's step: sums of it visit every 64-bit number once.
  private static let step: UInt64 = 0x9e37_79b9_7f4a_7c15

  /// Spreads neighbouring seeds, with SplitMix64's finalizer.
  private static func key(_ seed: UInt64) -> UInt64 {
    var key = seed &+ step
    key = (key ^ (key >> 30)) &* 0xbf58_476d_1ce4_e5b9
    key = (key ^ (key >> 27)) &* 0x94d0_49bb_1331_11eb
    return key ^ (key >> 31)
  }

  private static func sum(_ key: UInt64, _ index: UInt64) -> UInt64 {
    key &+ index &* step
  }

  /// One shift and one exclusive or per word instead of SplitMix64's two multiplications: it need not look random, only
  /// differ, and it must outrun a NIC.
  private static func word(_ sum: UInt64) -> UInt64 {
    sum ^ (sum >> 32)
  }

  private static func byte(_ key: UInt64, _ offset: UInt64) -> UInt8 {
    UInt8(truncatingIfNeeded: word(sum(key, offset / 8)) >> (offset % 8 * 8))
  }
}
