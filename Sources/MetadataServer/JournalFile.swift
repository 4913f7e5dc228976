internal import Glibc
internal import Logging
internal import NIOCore

/// The file that keeps the entries over a restart: all changes in order, each with a checksum.
///
/// A change is made by appending, and waiting for the disk. A record that a crash has cut is the end of the file for us.
/// The file is written anew, beside itself and then renamed, when most of it is of no use any more.
final class JournalFile {
  /// What need not be made smaller.
  static let smallLength = 4 << 20

  private let path: String
  private let logger: Logger
  private var file: Int32
  /// Bytes of whole records, with the file's header.
  private(set) var length = 0
  /// Whether an append failed: what is on the disk is unknown until the file has been written anew.
  private(set) var isBroken = false
  private var nextCompaction = 0

  /// Opens or makes the file and passes on what it holds: entries in order, nil for one that goes.
  init(
    _ path: String, logger: Logger, _ restore: (EntryKey, ByteBuffer?) -> Void
  ) throws(MetadataServerError) {
    self.path = path
    self.logger = logger
    do throws(FileFailure) {
      file = try Self.openLocked(path)
    } catch {
      throw Self.unusable(error)
    }
    do throws(FileFailure) {
      try readAll(restore)
    } catch {
      Glibc.close(file)
      file = -1
      throw Self.unusable(error)
    }
  }

  deinit { close() }

  /// Appends records and waits until the disk has them. After a failure none of them counts.
  func append(_ records: ByteBuffer) throws(FileFailure) {
    do throws(FileFailure) {
      try write(records, to: file, path, at: length)
      try FileCalls.synchronise(file, path)
    } catch {
      isBroken = true
      // So that a restart does not find what was refused. Where this fails too, the next write repairs it.
      ftruncate(file, off_t(length))
      throw error
    }
    length += records.readableBytes
  }

  /// Whether writing the file anew would make it much smaller.
  func isWorthCompacting(liveBytes: Int) -> Bool {
    !isBroken && length > max(Self.smallLength, 3 * liveBytes, nextCompaction)
  }

  /// Writes these entries to a new file and puts it in the place of this one.
  func rewrite(_ entries: [EntryKey: ByteBuffer]) throws(FileFailure) {
    // Not soon again if it fails.
    nextCompaction = 2 * length
    let newPath = path + ".new"
    let newFile = try FileCalls.open(newPath, truncating: true)
    do throws(FileFailure) {
      // Before it has the name: nobody else may open it and find it unlocked.
      guard flock(newFile, LOCK_EX | LOCK_NB) == 0 else { throw FileFailure("lock", newPath) }
      var newLength = 0
      var buffer = ByteBuffer(bytes: JournalRecord.fileHeader)
      for (key, value) in entries {
        JournalRecord.write(.put(key, value, replacing: nil), to: &buffer)
        guard buffer.readableBytes >= Journal.batchBytes else { continue }
        try write(buffer, to: newFile, newPath, at: newLength)
        newLength += buffer.readableBytes
        buffer.clear()
      }
      try write(buffer, to: newFile, newPath, at: newLength)
      newLength += buffer.readableBytes
      try FileCalls.synchronise(newFile, newPath)
      guard rename(newPath, path) == 0 else { throw FileFailure("rename", newPath) }
      Glibc.close(file)
      file = newFile
      length = newLength
      nextCompaction = 0
    } catch {
      Glibc.close(newFile)
      unlink(newPath)
      throw error
    }
    isBroken = true
    try FileCalls.synchroniseDirectory(of: path)
    isBroken = false
  }

  /// Closes the file. More calls do nothing.
  func close() {
    guard file >= 0 else { return }
    Glibc.close(file)
    file = -1
  }

  private func write(_ buffer: ByteBuffer, to file: Int32, _ path: String, at offset: Int) throws(FileFailure) {
    let result: Result<Void, FileFailure> = buffer.withUnsafeReadableBytes { bytes in
      Result { () throws(FileFailure) in try FileCalls.write(bytes, file, path, at: offset) }
    }
    try result.get()
  }

  // MARK: Opening

  private static func openLocked(_ path: String) throws(FileFailure) -> Int32 {
    // Between opening and locking, another server may have put a new file in the place of this one.
    for _ in 0..<10 {
      let file = try FileCalls.open(path)
      do throws(FileFailure) {
        let status = try FileCalls.status(file, path)
        guard status.st_mode & S_IFMT == S_IFREG else { throw FileFailure("\(path) is no regular file") }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else { throw FileFailure(lockedPrefix + path) }
        var named = stat()
        if stat(path, &named) == 0, named.st_ino == status.st_ino, named.st_dev == status.st_dev { return file }
        Glibc.close(file)
      } catch {
        Glibc.close(file)
        throw error
      }
    }
    throw FileFailure(lockedPrefix + path)
  }

  private static let lockedPrefix = "another metadata server has "
  private static let foreignSuffix = " holds something else than metadata"

  private static func unusable(_ failure: FileFailure) -> MetadataServerError {
    let text = failure.description
    if text.hasPrefix(lockedPrefix) {
      return MetadataServerError(.fileLocked, text, advice: "stop it, or give each server a file of its own")
    }
    if text.hasSuffix(foreignSuffix) {
      return MetadataServerError(.notAJournal, text, advice: "give --persist a new file; this one is left as it is")
    }
    return MetadataServerError(
      .fileUnusable, "the entries cannot be kept: \(text)",
      advice: "give --persist a file that this user can read and write, in a directory that exists")
  }

  private func readAll(_ restore: (EntryKey, ByteBuffer?) -> Void) throws(FileFailure) {
    let end = Int(try FileCalls.status(file, path).st_size)
    let header = JournalRecord.fileHeader
    let found = try FileCalls.read(file, path, at: 0, count: min(end, header.count))
    guard header.starts(with: found) else { throw FileFailure(path + Self.foreignSuffix) }
    guard found.count == header.count else {
      // New, or cut at its very beginning.
      try write(ByteBuffer(bytes: header), to: file, path, at: 0)
      try FileCalls.synchronise(file, path)
      try FileCalls.synchroniseDirectory(of: path)
      length = header.count
      return
    }
    length = header.count
    while let next = try readRecord(at: length, end: end, restore) { length = next }
    guard length < end else { return }
    logger.warning("\(path): the last \(end - length) bytes are no whole record and are left out, kept in \(path).torn")
    try saveTail(from: length, to: end)
    try FileCalls.truncate(file, path, to: length)
    try FileCalls.synchronise(file, path)
  }

  /// Reads a record and returns where the next begins; nil when there is none.
  private func readRecord(
    at offset: Int, end: Int, _ restore: (EntryKey, ByteBuffer?) -> Void
  ) throws(FileFailure) -> Int? {
    let fixed = JournalRecord.headerLength
    guard end - offset >= fixed,
      let header = JournalRecord.Header(try FileCalls.read(file, path, at: offset, count: fixed)),
      header.keyLength + header.valueLength <= end - offset - fixed
    else { return nil }
    let rest = fixed - 4 + header.keyLength + header.valueLength
    guard let (key, value) = JournalRecord.read(header, try FileCalls.read(file, path, at: offset + 4, count: rest))
    else { return nil }
    restore(key, value)
    return offset + 4 + rest
  }

  /// What is cut off may be more than one torn record if the disk was damaged: it is kept for a person to look at.
  private func saveTail(from start: Int, to end: Int) throws(FileFailure) {
    let name = path + ".torn"
    let copy = try FileCalls.open(name, truncating: true)
    defer { Glibc.close(copy) }
    var offset = start
    while offset < end {
      let bytes = try FileCalls.read(file, path, at: offset, count: min(1 << 20, end - offset))
      guard !bytes.isEmpty else { return }
      try write(ByteBuffer(bytes: bytes), to: copy, name, at: offset - start)
      offset += bytes.count
    }
  }
}
