import Glibc
import Memory
import TestSupport
import Testing

@Suite("A host buffer is aligned, zeroed and as long as asked for")
struct HostBufferTests {
  @Test(arguments: [1, 4096, 4097, 3 << 20], [false, true]) func alignmentAndContent(length: Int, huge: Bool) throws {
    let buffer = try HostBuffer(length: length, hugePages: huge)
    #expect(buffer.length == length)
    #expect(buffer.bytes.count == length)
    #expect(Int(bitPattern: buffer.baseAddress) % (huge ? 2 << 20 : PageSize.system) == 0)
    #expect(buffer.bytes.allSatisfy { $0 == 0 })
    #expect(buffer.boundNode == nil)
    buffer.bytes[length - 1] = 7
    #expect(buffer.bytes[length - 1] == 7)
  }

  @Test(
    "The kernel has been told of the wish for huge pages",
    .enabled(if: access("/sys/kernel/mm/transparent_hugepage", F_OK) == 0, "this kernel has no huge pages to ask for"))
  func hugePagesAreAskedFor() throws {
    for huge in [false, true] {
      let buffer = try HostBuffer(length: 4 << 20, hugePages: huge)
      buffer.bytes[0] = 1
      let flags = mappingFlags(of: UInt(bitPattern: buffer.baseAddress))
      #expect(flags.contains("hg") == huge)
      buffer.bytes[0] = 2
    }
  }

  @Test("Memory that peers can map begins where its file does, whatever it is aligned to", arguments: [false, true])
  func shareable(huge: Bool) throws {
    let buffer = try HostBuffer(length: 3 << 20, hugePages: huge, isShareable: true)
    let isShareable = buffer.isShareable
    #expect(isShareable)
    #expect(Int(bitPattern: buffer.baseAddress) % (huge ? 2 << 20 : PageSize.system) == 0)
    let address = UInt(bitPattern: buffer.baseAddress)
    let file = try #require(ShareableMemory.file(behind: address, length: 3 << 20))
    defer { close(file.descriptor) }
    #expect(file.base == address)
    buffer.bytes[0] = 42
    var byte: UInt8 = 0
    #expect(pread(file.descriptor, &byte, 1, 0) == 1)
    #expect(byte == 42)
  }

  @Test(arguments: [-1, 1023, 1024, 1 << 40]) func aNodeThatIsNotThereIsNoError(node: Int) throws {
    let buffer = try HostBuffer(length: 4096, numaNode: node)
    #expect(buffer.boundNode == nil)
    buffer.bytes[0] = 1
  }

  @Test(.enabled(if: MemoryLocationTests.kernelAnswers, "the kernel refuses questions of NUMA here"))
  func theNodeAskedForIsTheNode() throws {
    var byte: UInt8 = 0
    let node = try #require(try MemoryLocation.numaNode(of: &byte))
    let buffer = try HostBuffer(length: 4096, numaNode: node)
    buffer.bytes[0] = 1
    guard buffer.boundNode != nil else { return }
    #expect(buffer.boundNode == node)
    #expect(MemoryLocation.location(of: buffer.baseAddress) == "cpu:\(node)")
  }

  @Test(arguments: [
    (0, MemoryError.Code.invalidArgument), (-5, .invalidArgument), (Int.max, .outOfMemory), (1 << 60, .outOfMemory),
  ])
  func lengthsThatCannotBe(length: Int, code: MemoryError.Code) {
    for huge in [false, true] {
      do {
        let buffer = try HostBuffer(length: length, hugePages: huge)
        Issue.record("got \(buffer.length) bytes")
      } catch {
        #expect(error.code == code)
      }
    }
  }

  @Test func theMemoryGoesBack() throws {
    // 2 GiB 70,000 times is more than the 128 TiB that a process can address, if it stayed.
    for _ in 0..<70_000 { _ = try HostBuffer(length: 2 << 30, hugePages: true) }
  }
}
