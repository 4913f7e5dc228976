internal import CLinux
internal import Glibc
internal import Synchronization

/// Memory of this process that others of the host can map: the ``HostBuffer``s that were made so, by address.
public enum ShareableMemory {
  /// The file behind some memory.
  public struct File: Sendable {
    /// A descriptor of its own, which whoever asked for it closes.
    public let descriptor: Int32
    /// The address of the file's first byte in this process.
    public let base: UInt
    /// Bytes of it that are mapped.
    public let length: Int
  }

  private struct Entry {
    let file: Int32
    let length: Int
  }

  private static let entries = Mutex<[UInt: Entry]>([:])

  /// The file behind all of `[address, address + length)`; nil where there is none.
  public static func file(behind address: UInt, length: Int) -> File? {
    entries.withLock { entries -> File? in
      for (base, entry) in entries where address >= base && address - base < UInt(entry.length) {
        guard length <= entry.length - Int(address - base) else { return nil }
        let descriptor = clinux_duplicate(entry.file)
        return descriptor < 0 ? nil : File(descriptor: descriptor, base: base, length: entry.length)
      }
      return nil
    }
  }

  static func add(_ file: Int32, at base: UInt, length: Int) {
    entries.withLock { $0[base] = Entry(file: file, length: length) }
  }

  static func remove(at base: UInt) {
    _ = entries.withLock { $0.removeValue(forKey: base) }
  }

  /// A file of `length` bytes that keeps its length; nil where the kernel gives none.
  static func makeFile(length: Int) -> Int32? {
    let file = clinux_memory_file("moonrail-buffer")
    guard file >= 0 else { return nil }
    guard ftruncate(file, length) == 0, clinux_seal_size(file) == 0 else {
      close(file)
      return nil
    }
    return file
  }
}
