internal import NIOCore

/// The form of a change in the file.
///
/// A checksum of all that follows it (CRC-32), 1 for a put and 2 for a delete, the lengths of the key and of the value,
/// the key, the value. Numbers are little-endian, of 32 bits except the kind, which has 8.
enum JournalRecord {
  /// What the file begins with.
  static let fileHeader = Array("moonrail-metadata 1\n".utf8)
  /// Bytes before the key.
  static let headerLength = 13

  private static let put: UInt8 = 1
  private static let delete: UInt8 = 2

  /// The fixed part of a record.
  struct Header {
    let checksum: UInt32
    let keyLength: Int
    let valueLength: Int
    fileprivate let kind: UInt8

    /// nil: no header of a record.
    init?(_ bytes: [UInt8]) {
      var buffer = ByteBuffer(bytes: bytes)
      guard
        let (checksum, kind, keyLength, valueLength) = buffer.readMultipleIntegers(
          endianness: .little, as: (UInt32, UInt8, UInt32, UInt32).self),
        kind == JournalRecord.put || (kind == JournalRecord.delete && valueLength == 0), keyLength > 0
      else { return nil }
      self.checksum = checksum
      self.kind = kind
      self.keyLength = Int(keyLength)
      self.valueLength = Int(valueLength)
    }
  }

  /// Appends the record of a change.
  static func write(_ change: EntryChange, to buffer: inout ByteBuffer) {
    switch change {
    case .put(let key, let value, _): write(key, value, kind: put, to: &buffer)
    case .delete(let key): write(key, ByteBuffer(), kind: delete, to: &buffer)
    }
  }

  private static func write(_ key: EntryKey, _ value: ByteBuffer, kind: UInt8, to buffer: inout ByteBuffer) {
    let start = buffer.writerIndex
    buffer.writeInteger(UInt32(0))
    buffer.writeInteger(kind)
    buffer.writeInteger(UInt32(clamping: key.bytes.count), endianness: .little)
    buffer.writeInteger(UInt32(clamping: value.readableBytes), endianness: .little)
    buffer.writeBytes(key.bytes)
    buffer.writeImmutableBuffer(value)
    let checksum = buffer.withUnsafeReadableBytes { bytes in
      crc32(UnsafeRawBufferPointer(rebasing: bytes.dropFirst(start + 4 - buffer.readerIndex)))
    }
    buffer.setInteger(checksum, at: start, endianness: .little)
  }

  /// The change that a record stands for: a value, or nil for none. `bytes` is the record without its checksum.
  static func read(_ header: Header, _ bytes: [UInt8]) -> (EntryKey, ByteBuffer?)? {
    let body = bytes.dropFirst(headerLength - 4)
    guard body.count == header.keyLength + header.valueLength, bytes.withUnsafeBytes({ crc32($0) }) == header.checksum
    else { return nil }
    let key = EntryKey(bytes: Array(body.prefix(header.keyLength)))
    return (key, header.kind == put ? ByteBuffer(bytes: body.dropFirst(header.keyLength)) : nil)
  }

  private static let table: [UInt32] = (0..<256).map { index in
    (0..<8).reduce(UInt32(index)) { value, _ in value & 1 == 1 ? 0xEDB8_8320 ^ (value >> 1) : value >> 1 }
  }

  /// The checksum that zip and Ethernet use.
  static func crc32(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    var value = UInt32.max
    table.withUnsafeBufferPointer { table in
      for byte in bytes { value = table[Int(UInt8(truncatingIfNeeded: value) ^ byte)] ^ (value >> 8) }
    }
    return ~value
  }
}
