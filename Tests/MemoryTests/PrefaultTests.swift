import Glibc
@testable import Memory
import Testing

@Suite("Touching memory first makes every page present and changes none")
struct PrefaultTests {
  /// Which pages of the buffer are present, one byte each.
  private func resident(_ buffer: borrowing HostBuffer) -> [Bool] {
    let pages = (buffer.length - 1) / PageSize.system + 1
    var state = [UInt8](repeating: 0, count: pages)
    #expect(mincore(buffer.baseAddress, buffer.length, &state) == 0)
    return state.map { $0 & 1 == 1 }
  }

  @Test(arguments: [1, 2, 3, 7, 64, 5000], [false, true]) func everyPage(threads: Int, byHand: Bool) throws {
    let page = PageSize.system
    // Not a multiple of the threads, with a tail of one byte.
    let buffer = try HostBuffer(length: 101 * page + 1)
    madvise(buffer.baseAddress, buffer.length, MADV_NOHUGEPAGE)
    #expect(!resident(buffer).contains(true))
    let touch = byHand ? Prefault.touchBytes : Prefault.touch
    #expect(touch(buffer.baseAddress, buffer.length, page, threads))
    #expect(resident(buffer).allSatisfy { $0 })
    #expect(buffer.bytes.allSatisfy { $0 == 0 })
  }

  @Test(arguments: [false, true]) func onlyTheRange(byHand: Bool) throws {
    let page = PageSize.system
    let buffer = try HostBuffer(length: 8 * page)
    madvise(buffer.baseAddress, buffer.length, MADV_NOHUGEPAGE)
    let touch = byHand ? Prefault.touchBytes : Prefault.touch
    #expect(touch(buffer.baseAddress + 2 * page - 1, 2 * page + 2, page, 3))
    #expect(resident(buffer) == [false, true, true, true, true, false, false, false])
  }

  @Test(arguments: [false, true]) func contentIsKept(byHand: Bool) throws {
    let buffer = try HostBuffer(length: 300_001)
    PatternFill.fill(buffer.bytes, seed: 9)
    let touch = byHand ? Prefault.touchBytes : Prefault.touch
    #expect(touch(buffer.baseAddress, buffer.length, PageSize.system, 4))
    #expect(PatternFill.firstMismatch(UnsafeRawBufferPointer(buffer.bytes), seed: 9) == nil)
  }

  @Test func numbersOutOfRange() throws {
    let buffer = try HostBuffer(length: 1)
    #expect(Prefault.touch(address: buffer.baseAddress, length: 0, pageSize: 4096, threads: 1))
    #expect(!Prefault.touch(address: buffer.baseAddress, length: 1, pageSize: 0, threads: 1))
    #expect(!Prefault.touch(address: buffer.baseAddress, length: .max, pageSize: 4096, threads: 1))
    #expect(Prefault.touch(address: buffer.baseAddress, length: 1, pageSize: 4096, threads: -3))
  }

  @Test func threadsByProcessors() {
    #expect([1, 3, 4, 8, 64, 65, 192].map(Prefault.threadCount) == [0, 0, 4, 8, 8, 16, 16])
    #expect(Prefault.isWorthwhile(location: "cpu:1", length: 4 << 30, processors: 4))
    #expect(!Prefault.isWorthwhile(location: "cpu:1", length: (4 << 30) - 1, processors: 4))
    #expect(!Prefault.isWorthwhile(location: "cpu:1", length: 4 << 30, processors: 3))
    #expect(!Prefault.isWorthwhile(location: "cuda:1", length: 4 << 30, processors: 4))
    #expect(!Prefault.isWorthwhile(location: "*", length: 4 << 30, processors: 4))
  }
}
