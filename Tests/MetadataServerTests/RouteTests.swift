import TestSupport
import Testing

@testable import MetadataServer

@Suite("Routes and replies, over sockets", .timeLimit(.minutes(2)))
struct RouteTests {
  private static let sentence = "application/json; charset=utf-8"

  @Test("An entry's life: missing, put, found, replaced, deleted, missing")
  func life() throws {
    let served = try Served()
    let connection = try RawHTTP(port: served.port)
    func ask(_ method: String, _ body: String? = nil) throws -> [String] {
      let reply = try connection.request(method, "/metadata?key=k", body: body.map { Array($0.utf8) })
      return ["\(reply.status)", reply.text, reply.headers["content-type"] ?? "none"]
    }
    #expect(try ask("GET") == ["404", "metadata not found", Self.sentence])
    #expect(try ask("DELETE") == ["404", "metadata not found", Self.sentence])
    #expect(try ask("PUT", "{\"a\":1}") == ["200", "metadata updated", Self.sentence])
    #expect(try ask("GET") == ["200", "{\"a\":1}", "application/json"])
    #expect(try ask("PUT", "{\"a\":2}") == ["200", "metadata updated", Self.sentence])
    #expect(try ask("PUT", "{\"a\":2}") == ["200", "metadata updated", Self.sentence])
    #expect(try ask("GET") == ["200", "{\"a\":2}", "application/json"])
    #expect(try ask("DELETE") == ["200", "metadata deleted", Self.sentence])
    #expect(try ask("GET") == ["404", "metadata not found", Self.sentence])
  }

  @Test("A value is bytes: nothing is read into it, and it may be empty")
  func bytes() throws {
    let served = try Served()
    for value in [[], [0], Array(UInt8.min...UInt8.max), [UInt8](repeating: 0xFF, count: 3 << 20)] {
      #expect(try RawHTTP.request("PUT", "/metadata?key=b", body: value, port: served.port).status == 200)
      #expect(try RawHTTP.request("GET", "/metadata?key=b", port: served.port).body == value)
    }
  }

  @Test(
    "Without a key every method is told so",
    arguments: [
      "/metadata", "/metadata?", "/metadata?key=", "/metadata?key=%20%09", "/metadata?yek=a", "/metadata?key",
    ])
  func noKey(target: String) throws {
    let served = try Served()
    for method in ["GET", "PUT", "DELETE", "POST"] {
      let reply = try RawHTTP.request(method, target, body: [], port: served.port)
      #expect(reply.status == 400)
      #expect(reply.text == "metadata key is required")
    }
  }

  @Test("Other methods are refused, by name")
  func methods() throws {
    let served = try Served()
    let connection = try RawHTTP(port: served.port)
    for method in ["POST", "PATCH", "OPTIONS", "HEAD", "TRACE"] {
      let reply = try connection.request(method, "/metadata?key=a")
      #expect(reply.status == 405)
      #expect(reply.text == (method == "HEAD" ? "" : "Method not allowed"))
      #expect(reply.headers["content-length"] == "18")
      #expect(reply.headers["allow"] == "GET, PUT, DELETE")
    }
  }

  @Test("Keys are decoded, and stripped of white space around them")
  func keys() throws {
    let served = try Served()
    #expect(try served.request("PUT", "mooncake%2Fram%2F10.0.0.1%3A12345", "v").status == 200)
    for key in [
      "mooncake/ram/10.0.0.1:12345", "mooncake%2fram%2f10.0.0.1%3a12345", "%20mooncake/ram/10.0.0.1:12345%0A",
      "+mooncake/ram/10.0.0.1:12345+", "mooncake/ram/10.0.0.1:12345&key=other", "%C2%A0mooncake/ram/10.0.0.1:12345",
    ] { #expect(try served.request("GET", key).text == "v", "\(key)") }
    #expect(try served.request("GET", "mooncake%252Fram%252F10.0.0.1%253A12345").status == 404)
    #expect(try served.metric("moonrail_metadata_entries") == "1")
    // Two spellings of é are two keys, as they are for upstream.
    #expect(try served.request("PUT", "%C3%A9", "composed").status == 200)
    #expect(try served.request("GET", "e%CC%81").status == 404)
  }

  @Test("Targets are read as upstream reads them")
  func targets() {
    for (target, path, key) in [
      ("/metadata?key=a%2Fb", "/metadata", "a/b"), ("/metadat%61?%6bey=a", "/metadata", "a"),
      ("/metadata?x&&key=1&key=2", "/metadata", "1"), ("/metadata?key=a=b", "/metadata", "a=b"),
      ("/metadata?key=%zz%4", "/metadata", "%zz%4"), ("/metadata?key=%FF", "/metadata", "\u{FFFD}"),
      ("/metadata?key=a?b", "/metadata", "a?b"), ("http://host:1/metadata?key=a", "/metadata", "a"),
      ("http://host", "", ""), ("*", "*", ""), ("", "", ""), ("/%", "/%", ""), ("/metadata/?key=a", "/metadata/", "a"),
      ("/metadata?key=%00a", "/metadata", "\0a"), ("/metadata?key=%1Ca%1F", "/metadata", "a"),
    ] {
      let read = RequestTarget(target)
      #expect(read.path == path, "\(target)")
      #expect(read.key == key, "\(target)")
    }
  }

  @Test("Health, metrics, and nothing else")
  func others() throws {
    let served = try Served()
    let health = try RawHTTP.request("GET", "/health", port: served.port)
    #expect(health.status == 200 && health.text == "OK")
    #expect(try RawHTTP.request("PUT", "/health", body: [], port: served.port).status == 405)
    for target in ["/", "/metadata/", "/metadata/x?key=a", "//metadata?key=a"] {
      #expect(try RawHTTP.request("GET", target, port: served.port).status == 404)
    }
    _ = try served.request("PUT", "key", "value")
    _ = try RawHTTP.request("PROPFIND", "/metadata?key=a", port: served.port)
    let metrics = try RawHTTP.request("GET", "/metrics", port: served.port)
    #expect(metrics.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
    let lines = metrics.text.split(separator: "\n")
    for line in [
      "moonrail_metadata_requests_total{method=\"PUT\",status=\"200\"} 1",
      "moonrail_metadata_requests_total{method=\"other\",status=\"405\"} 1", "moonrail_metadata_entries 1",
      "moonrail_metadata_entry_bytes 8", "moonrail_metadata_replaced_owners_total 0",
      "# TYPE moonrail_metadata_uptime_seconds gauge",
    ] { #expect(lines.contains { $0 == line }, "\(line)") }
  }

  @Test("Connections are kept, closed on request, and old clients are served")
  func keepAlive() throws {
    let served = try Served()
    let connection = try RawHTTP(port: served.port)
    // Two at once are answered in order.
    connection.send("PUT /metadata?key=a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nA")
    connection.send("GET /metadata?key=a HTTP/1.1\r\nHost: x\r\n\r\nGET /metadata?key=b HTTP/1.1\r\nHost: x\r\n\r\n")
    #expect(try [connection.reply().text, connection.reply().text] == ["metadata updated", "A"])
    #expect(try connection.reply().status == 404)
    connection.send("GET /metadata?key=a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    #expect(try connection.reply().headers["connection"] == "close")
    #expect(connection.isClosed())
    let old = try RawHTTP(port: served.port)
    old.send("GET /metadata?key=a HTTP/1.0\r\n\r\n")
    #expect(try old.reply().text == "A")
    #expect(old.isClosed())
    // Half-closed before the reply; a body in chunks; one that waits to be asked for.
    let half = try RawHTTP(port: served.port)
    half.send(
      "PUT /metadata?key=c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")
    half.finishSending()
    #expect(try half.reply().text == "metadata updated")
    #expect(half.isClosed())
    let polite = try RawHTTP(port: served.port)
    polite.send("PUT /metadata?key=d HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    #expect(try polite.reply().status == 100)
    polite.send("xyz")
    #expect(try polite.reply().status == 200)
    #expect(try served.request("GET", "c").text == "abc")
  }

  @Test("Thousands of requests in one go are answered in order")
  func pipelined() throws {
    let served = try Served()
    let connection = try RawHTTP(port: served.port)
    let count = 3000
    connection.send(String(repeating: "GET /health HTTP/1.1\r\nHost: x\r\n\r\n", count: count))
    for _ in 0..<count { #expect(try connection.reply().text == "OK") }
  }
}
