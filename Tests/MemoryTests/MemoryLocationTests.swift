import Memory
import Testing

@Suite("Memory's location is the node of its first page, or unknown")
struct MemoryLocationTests {
  static let kernelAnswers: Bool = {
    var byte: UInt8 = 0
    return (try? MemoryLocation.numaNode(of: &byte)) != nil
  }()

  @Test func memoryNeverTouched() throws {
    let buffer = try HostBuffer(length: 1 << 20)
    #expect(MemoryLocation.location(of: buffer.baseAddress + 4096) == "*")
  }

  @Test(.enabled(if: kernelAnswers, "the kernel refuses move_pages here")) func touchedMemory() throws {
    let buffer = try HostBuffer(length: 4 * PageSize.system)
    let second = buffer.baseAddress + PageSize.system
    second.storeBytes(of: 1, as: UInt8.self)
    let node = try #require(try MemoryLocation.numaNode(of: second))
    #expect(MemoryLocation.location(of: second) == "cpu:\(node)")
    #expect(MemoryLocation.location(of: second + 4095) == "cpu:\(node)", "any address of the page will do")
    #expect(MemoryLocation.location(of: second + PageSize.system) == "*", "the next page was not touched")
  }

  @Test func anAddressWithoutMemory() throws {
    let pointer = try #require(UnsafeRawPointer(bitPattern: 0x1000))
    #expect(MemoryLocation.location(of: pointer) == "*")
  }
}
