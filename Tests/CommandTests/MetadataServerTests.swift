internal import Foundation
internal import TestSupport
internal import Testing

@testable import MoonrailCommand

@Suite("moonrail metadata-server", .enabled(if: Tool.path != nil, "moonrail is not built"), .timeLimit(.minutes(3)))
struct MetadataServerCommandTests {
  private static let marker = "listening on http://127.0.0.1:"

  private func port(of server: Target) throws -> UInt16 {
    #expect(server.name.hasSuffix("/metadata"))
    return try #require(UInt16(server.name.dropLast("/metadata".count)), "\(server.log)")
  }

  @Test("It serves until SIGTERM, and a restart with the same file forgets nothing, also after a crash")
  func restart() throws {
    let file = FileManager.default.temporaryDirectory.appending(path: "moonrail-\(UUID().uuidString)").path()
    defer { try? FileManager.default.removeItem(atPath: file) }
    let arguments = ["metadata-server", "--host=127.0.0.1", "--port=0", "--log_level=INFO", "--persist=\(file)"]
    let first = try Target(arguments, [:], marker: Self.marker)
    #expect(
      try RawHTTP.request("PUT", "/metadata?key=a%2Fb", body: [65, 66], port: try port(of: first)).text
        == "metadata updated")
    #expect(first.stop() == 0, "\(first.log)")
    let second = try Target(arguments, [:], marker: Self.marker)
    #expect(try RawHTTP.request("GET", "/metadata?key=a/b", port: try port(of: second)).body == [65, 66])
    #expect(try RawHTTP.request("PUT", "/metadata?key=c", body: [67], port: try port(of: second)).status == 200)
    second.kill()
    _ = second.end(seconds: 20)
    let third = try Target(arguments, [:], marker: Self.marker)
    #expect(try RawHTTP.request("GET", "/metadata?key=c", port: try port(of: third)).body == [67])
    // The file has an owner.
    let other = Tool.run(arguments)
    #expect(other.status == 1 && other.error.contains("another metadata server has \(file)"), "\(other.error)")
  }

  @Test("What cannot be written down is refused and not kept, and the next change that fits is taken")
  func noRoom() throws {
    let file = FileManager.default.temporaryDirectory.appending(path: "moonrail-\(UUID().uuidString)").path()
    defer { try? FileManager.default.removeItem(atPath: file) }
    let path = try #require(Tool.path)
    // No file may be longer than 512 KB here.
    let child = try ChildProcess(
      "/bin/bash",
      ["-c", "ulimit -f 512; exec '\(path)' metadata-server --host=127.0.0.1 --port=0 --persist='\(file)' 1>&2"])
    let line = try #require(child.nextLine(deadline: monotonicNanoseconds() + 30_000_000_000))
    let port = try #require(UInt16(line.dropFirst(Self.marker.count).dropLast("/metadata".count)), "\(line)")
    #expect(try RawHTTP.request("PUT", "/metadata?key=a", body: [65], port: port).status == 200)
    let refused = try RawHTTP.request("PUT", "/metadata?key=b", body: [UInt8](repeating: 0, count: 600_000), port: port)
    #expect(refused.status == 500 && refused.text.contains("metadata not stored"), "\(refused.text)")
    #expect(try RawHTTP.request("GET", "/metadata?key=b", port: port).status == 404)
    #expect(try RawHTTP.request("PUT", "/metadata?key=c", body: [67], port: port).status == 200)
    #expect(child.stop(deadline: monotonicNanoseconds() + 20_000_000_000) == 0)
    let again = try Target(
      ["metadata-server", "--host=127.0.0.1", "--port=0", "--persist=\(file)"], [:], marker: Self.marker)
    for (key, body) in [("a", [UInt8(65)]), ("c", [67])] {
      #expect(try RawHTTP.request("GET", "/metadata?key=\(key)", port: try self.port(of: again)).body == body)
    }
    #expect(try RawHTTP.request("GET", "/metadata?key=b", port: try self.port(of: again)).status == 404)
  }

  @Test("A value without meaning, or a port or file that cannot be had, ends with status 1 and a reason")
  func refusals() {
    for (arguments, text) in [
      (["--port=70000"], "--port=70000"), (["--log-level=LOUD"], "--log_level=LOUD"), (["--persist="], "--persist"),
      (["--max_entries=0"], "--max-entries=0"), (["--max-value-bytes=9999999999"], "--max-value-bytes"),
      (["--host=192.0.2.1", "--port=0"], "192.0.2.1"),
      (["--port=0", "--persist=/nonexistent/file"], "/nonexistent/file"),
    ] {
      let outcome = Tool.run(["metadata-server"] + arguments)
      #expect(outcome.status == 1, "\(arguments)")
      #expect(outcome.error.contains(text), "\(arguments): \(outcome.error)")
    }
  }
}
