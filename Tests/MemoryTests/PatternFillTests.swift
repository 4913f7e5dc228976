import Memory
import Testing

@Suite("The pattern depends on seed and place alone, and a wrong byte is found")
struct PatternFillTests {
  private func made(_ count: Int, seed: UInt64, offset: UInt64) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    bytes.withUnsafeMutableBytes { PatternFill.fill($0, seed: seed, offset: offset) }
    return bytes
  }

  private func mismatch(_ bytes: some Collection<UInt8>, seed: UInt64, offset: UInt64) -> Int? {
    Array(bytes).withUnsafeBytes { PatternFill.firstMismatch($0, seed: seed, offset: offset) }
  }

  @Test func aPartIsThePartOfTheWhole() {
    let whole = made(400, seed: 7, offset: 0)
    for start in 0..<24 {
      for count in [0, 1, 3, 7, 8, 9, 63, 64, 65, 127, 200, 371] {
        #expect(made(count, seed: 7, offset: UInt64(start)) == Array(whole[start..<start + count]))
        #expect(mismatch(whole[start..<start + count], seed: 7, offset: UInt64(start)) == nil)
      }
    }
  }

  @Test func addressesNeedNoAlignment() {
    var bytes = [UInt8](repeating: 0xee, count: 300)
    for shift in 0..<9 {
      bytes.withUnsafeMutableBytes { all in
        let part = UnsafeMutableRawBufferPointer(rebasing: all[shift..<shift + 211])
        PatternFill.fill(part, seed: 1, offset: 5)
        #expect(PatternFill.firstMismatch(UnsafeRawBufferPointer(part), seed: 1, offset: 5) == nil)
      }
      #expect(Array(bytes[shift..<shift + 211]) == made(211, seed: 1, offset: 5))
      #expect(bytes[(shift + 211)...].allSatisfy { $0 == 0xee }, "nothing is written behind the end")
    }
  }

  @Test(arguments: [0, 3, 8]) func everyWrongByteIsFoundWhereItIs(offset: UInt64) {
    let good = made(150, seed: 3, offset: offset)
    for index in good.indices {
      var bad = good
      bad[index] ^= 0x10
      bad[149] ^= 0x01
      #expect(mismatch(bad, seed: 3, offset: offset) == index)
    }
  }

  @Test func anotherPlaceOrSeedDoesNotMatch() {
    let bytes = made(4096, seed: 3, offset: 0)
    for seed: UInt64 in [0, 1, 2, 4, .max] { #expect(mismatch(bytes, seed: seed, offset: 0) != nil) }
    for offset: UInt64 in [1, 8, 64, 4096, 1 << 20] { #expect(mismatch(bytes, seed: 3, offset: offset) != nil) }
    let words = bytes.withUnsafeBytes {
      Set((0..<512).map { [bytes = $0] in bytes.load(fromByteOffset: $0 * 8, as: UInt64.self) })
    }
    #expect(words.count == 512)
  }

  @Test func theEndOfTheNumbers() {
    #expect(mismatch(made(100, seed: .max, offset: .max - 99), seed: .max, offset: .max - 99) == nil)
  }

  /// Two versions must agree on it to check each other's memory. The first word is SplitMix64's first number for seed 0,
  /// 0xe220a8397b1dcdaf, with its upper half laid over the lower.
  @Test func thePatternStaysTheSame() {
    #expect(
      made(16, seed: 0, offset: 0) == [
        0x96, 0x65, 0x3d, 0x99, 0x39, 0xa8, 0x20, 0xe2, 0x36, 0x68, 0x30, 0x7a, 0xf2, 0x21, 0x58, 0x80,
      ])
  }
}
