import Foundation
import NIOCore
import TestSupport
import Testing

@testable import MetadataServer

@Suite("The file that keeps the entries", .timeLimit(.minutes(2)))
struct PersistenceTests {
  @Test("A restart forgets nothing, and remembers nothing that was deleted")
  func restart() throws {
    let folder = try Folder()
    let blob = Array(UInt8.min...UInt8.max)
    do {
      let served = try Served { $0.persistencePath = folder.file }
      _ = try RawHTTP.request("PUT", "/metadata?key=blob", body: blob, port: served.port)
      for value in ["old", "new"] { _ = try served.request("PUT", "changed", value) }
      _ = try served.request("PUT", "gone", "x")
      _ = try served.request("PUT", "empty", "")
      #expect(try served.request("DELETE", "gone").text == "metadata deleted")
      served.stop()
    }
    for _ in 0..<2 {
      let served = try Served { $0.persistencePath = folder.file }
      #expect(try RawHTTP.request("GET", "/metadata?key=blob", port: served.port).body == blob)
      #expect(try served.request("GET", "changed").text == "new")
      #expect(try served.request("GET", "gone").status == 404)
      #expect(try served.request("GET", "empty").status == 200)
      #expect(try served.metric("moonrail_metadata_entries") == "3")
      served.stop()
    }
  }

  @Test("What is acknowledged is in the file before the server is stopped")
  func durable() throws {
    let folder = try Folder()
    let served = try Served { $0.persistencePath = folder.file }
    _ = try served.request("PUT", "key", "value")
    let copy = try Folder()
    try copy.write(folder.bytes())
    let other = try Served { $0.persistencePath = copy.file }
    #expect(try other.request("GET", "key").text == "value")
  }

  @Test("A file that a crash has cut anywhere holds all that came before the cut")
  func torn() throws {
    let folder = try Folder()
    do {
      let served = try Served { $0.persistencePath = folder.file }
      for index in 0..<3 { _ = try served.request("PUT", "k\(index)", "value") }
      served.stop()
    }
    let whole = folder.bytes()
    let header = JournalRecord.fileHeader.count
    let record = (whole.count - header) / 3
    for length in 0...whole.count {
      let cut = try Folder()
      try cut.write(Array(whole.prefix(length)))
      let lines = LogLines()
      var table = EntryTable(maximumEntries: 9, maximumBytes: 999)
      let file = try JournalFile(cut.file, logger: lines.logger) { table.set($0, $1) }
      #expect(table.entries.count == max(0, length - header) / record)
      let isClean = length <= header || (length - header) % record == 0
      #expect(lines.contains("no whole record") == !isClean)
      #expect(cut.bytes(".torn").count == (isClean ? 0 : (length - header) % record))
      // What is written next is found.
      var buffer = ByteBuffer()
      JournalRecord.write(.put(EntryKey("next"), ByteBuffer(string: "v"), replacing: nil), to: &buffer)
      try file.append(buffer)
      let count = table.entries.count
      file.close()
      table = EntryTable(maximumEntries: 9, maximumBytes: 999)
      _ = try JournalFile(cut.file, logger: lines.logger) { table.set($0, $1) }
      #expect(table.entries.count == count + 1)
      #expect(table.entries[EntryKey("next")] == ByteBuffer(string: "v"))
    }
  }

  @Test("Of a file that was damaged, what comes before the damage is kept, and nothing traps")
  func damaged() throws {
    let folder = try Folder()
    do {
      let served = try Served { $0.persistencePath = folder.file }
      for index in 0..<3 { _ = try served.request("PUT", "k\(index)", "value") }
      served.stop()
    }
    let whole = folder.bytes()
    let header = JournalRecord.fileHeader.count
    let record = (whole.count - header) / 3
    for position in header..<whole.count {
      for bits: UInt8 in [0x01, 0xFF] {
        var bytes = whole
        bytes[position] ^= bits
        let hurt = try Folder()
        try hurt.write(bytes)
        var table = EntryTable(maximumEntries: 9, maximumBytes: 999)
        _ = try JournalFile(hurt.file, logger: LogLines().logger) { table.set($0, $1) }
        #expect(table.entries.count == (position - header) / record, "byte \(position)")
      }
    }
  }

  @Test("A file of something else is left alone, and the server does not start")
  func foreign() throws {
    let folder = try Folder()
    try folder.write(Array("#!/bin/sh\nexit 0\n".utf8))
    #expect(throws: MetadataServerError.self) { try Served { $0.persistencePath = folder.file } }
    #expect(folder.bytes() == Array("#!/bin/sh\nexit 0\n".utf8))
  }

  @Test("A file that cannot be used is an error at the start that names it")
  func unusable() throws {
    let folder = try Folder()
    let pipe = folder.path + "/pipe"
    #expect(mkfifo(pipe, 0o600) == 0)
    for (path, reason) in [
      (folder.path, "directory"), (folder.path + "/missing/file", "No such file"), ("/proc/version", "ermission"),
      ("/dev/null", "no regular file"), (pipe, "no regular file"),
    ] {
      let error = #expect(throws: MetadataServerError.self) { try Served { $0.persistencePath = path } }
      // The superuser may open anything; then it is something else that fails.
      #expect(error?.message.contains(path) == true, "\(String(describing: error))")
      if path != "/proc/version" { #expect(error?.message.contains(reason) == true, "\(String(describing: error))") }
    }
  }

  @Test("Two servers do not share a file")
  func locked() throws {
    let folder = try Folder()
    let first = try Served { $0.persistencePath = folder.file }
    let error = #expect(throws: MetadataServerError.self) { try Served { $0.persistencePath = folder.file } }
    #expect(error?.code == .fileLocked)
    first.stop()
    _ = try Served { $0.persistencePath = folder.file }
  }

  @Test("The file stays small however often an entry changes, and keeps its lock when it is written anew")
  func compaction() throws {
    let folder = try Folder()
    let value = [UInt8](repeating: 7, count: 200_000)
    let served = try Served { $0.persistencePath = folder.file }
    let connection = try RawHTTP(port: served.port)
    #expect(try connection.request("PUT", "/metadata?key=kept", body: [1, 2, 3]).status == 200)
    for _ in 0..<60 { #expect(try connection.request("PUT", "/metadata?key=k", body: value).status == 200) }
    #expect(folder.bytes().count <= JournalFile.smallLength + 2 * value.count)
    #expect(throws: MetadataServerError.self) { try Served { $0.persistencePath = folder.file } }
    served.stop()
    let again = try Served { $0.persistencePath = folder.file }
    #expect(try RawHTTP.request("GET", "/metadata?key=k", port: again.port).body == value)
    #expect(try RawHTTP.request("GET", "/metadata?key=kept", port: again.port).body == [1, 2, 3])
  }

  @Test("A file that was written anew holds exactly the entries")
  func rewritten() throws {
    let folder = try Folder()
    let file = try JournalFile(folder.file, logger: LogLines().logger) { _, _ in }
    let entries = [EntryKey("a"): ByteBuffer(string: "1"), EntryKey("b"): ByteBuffer()]
    try file.rewrite(entries)
    file.close()
    var table = EntryTable(maximumEntries: 9, maximumBytes: 999)
    _ = try JournalFile(folder.file, logger: LogLines().logger) { table.set($0, $1) }
    #expect(table.entries == entries)
    #expect(FileManager.default.fileExists(atPath: folder.file + ".new") == false)
  }

  @Test("The checksum is the one that other tools compute")
  func checksum() {
    #expect(Array("123456789".utf8).withUnsafeBytes { JournalRecord.crc32($0) } == 0xCBF4_3926)
  }

  @Test("What a change has done can be undone, for when it cannot be written down")
  func undo() throws {
    var table = EntryTable(maximumEntries: 9, maximumBytes: 999)
    _ = table.apply(.put(EntryKey("k"), ByteBuffer(string: "v"), replacing: nil))
    let before = (table.entries, table.byteCount)
    for change: EntryChange in [
      .put(EntryKey("k"), ByteBuffer(string: "other"), replacing: nil), .delete(EntryKey("k")),
      .put(EntryKey("new"), ByteBuffer(string: "v"), replacing: nil),
    ] {
      table.undo(try #require(table.apply(change).undo))
      #expect(table.entries == before.0 && table.byteCount == before.1)
    }
  }
}
