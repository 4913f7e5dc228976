internal import Foundation
internal import TestSupport
internal import Testing

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

  @Test("A value without meaning, or a port or file that cannot be had, ends with status 1 and a reason")
  func refusals() {
    for (arguments, text) in [
      (["--port=70000"], "--port=70000"), (["--log-level=LOUD"], "--log_level=LOUD"), (["--persist="], "--persist"),
      (["--max_entries=0"], "--max-entries=0"), (["--max-value-bytes=9999999999"], "--max-value-bytes"),
      (["--host=192.0.2.1", "--port=0"], "192.0.2.1"), (["--port=0", "--persist=/nonexistent/file"], "/nonexistent/file"),
    ] {
      let outcome = Tool.run(["metadata-server"] + arguments)
      #expect(outcome.status == 1, "\(arguments)")
      #expect(outcome.error.contains(text), "\(arguments): \(outcome.error)")
    }
  }
}
