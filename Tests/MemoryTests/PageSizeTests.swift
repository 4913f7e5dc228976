import Foundation
import Memory
import Testing

@Suite("The page size is that of the mapping the address lies in")
struct PageSizeTests {
  /// As a kernel prints it: a file's text, a hugetlbfs mapping, one of 1 GiB pages right behind it, and vsyscall.
  static let smaps = """
    5581e0a00000-5581e0a21000 r-xp 00002000 08:01 1835123                    /usr/bin/cat-a-bee
    Size:                132 kB
    KernelPageSize:        4 kB
    MMUPageSize:           4 kB
    Rss:                 132 kB
    VmFlags: rd ex mr mw me
    7f1200000000-7f1240000000 rw-s 00000000 00:0f 24861                      /dev/hugepages/kv (deleted)
    Size:            1048576 kB
    KernelPageSize:     2048 kB
    MMUPageSize:        2048 kB
    VmFlags: rd wr sh mr mw me ms de ht
    7f1240000000-7f1280000000 rw-s 00000000 00:10 24862                      /dev/hugepages1G/kv
    Size:            1048576 kB
    KernelPageSize:  1048576 kB
    MMUPageSize:     1048576 kB
    ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]
    Size:                  4 kB
    KernelPageSize:   wrong kB

    """

  @Test(arguments: [
    (0x5581_e0a0_0000, 4096), (0x5581_e0a2_0fff, 4096), (0x5581_e0a2_1000, PageSize.system),
    (0x7f12_0000_0000, 2 << 20), (0x7f12_3fff_ffff, 2 << 20), (0x7f12_4000_0000, 1 << 30),
    (0x7f12_7fff_ffff, 1 << 30), (0x7f12_8000_0000, PageSize.system), (0x1000, PageSize.system),
  ])
  func recordedMappings(address: Int, expected: Int) throws {
    let file = FileManager.default.temporaryDirectory.appendingPathComponent("smaps-\(UUID().uuidString)")
    try Self.smaps.write(to: file, atomically: false, encoding: .utf8)
    defer { try? FileManager.default.removeItem(at: file) }
    let pointer = try #require(UnsafeRawPointer(bitPattern: address))
    #expect(PageSize.kernelPageSize(of: pointer, smaps: file.path) == expected)
  }

  @Test func aMissingOrForeignFileFallsBack() throws {
    let pointer = try #require(UnsafeRawPointer(bitPattern: 0x7f12_0000_0000))
    for path in ["/proc/self/absent", "/dev/null", "/proc/self", "/proc/self/status"] {
      #expect(PageSize.kernelPageSize(of: pointer, smaps: path) == PageSize.system)
    }
  }

  @Test func thisProcess() throws {
    let buffer = try HostBuffer(length: 10_000)
    #expect(PageSize.kernelPageSize(of: buffer.baseAddress) == PageSize.system)
  }
}
