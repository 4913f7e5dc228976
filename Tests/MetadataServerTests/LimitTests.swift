import Foundation
import TestSupport
import Testing

@testable import MetadataServer

@Suite("Limits, slow clients and garbage", .timeLimit(.minutes(2)))
struct LimitTests {
  @Test("A body over the limit is refused, announced or not, and the reply arrives")
  func longBody() throws {
    let served = try Served { $0.maximumValueBytes = 1000 }
    #expect(try served.request("PUT", "k", String(repeating: "x", count: 1000)).status == 200)
    let announced = try RawHTTP(port: served.port)
    let reply = try announced.request("PUT", "/metadata?key=k", body: [UInt8](repeating: 0, count: 300_000))
    #expect(reply.status == 413 && reply.text.contains("1000 exceeded"))
    announced.finishSending()
    #expect(announced.isClosed())
    let chunked = try RawHTTP(port: served.port)
    chunked.send("PUT /metadata?key=k HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in 0..<3 { chunked.send("190\r\n" + String(repeating: "x", count: 400) + "\r\n") }
    #expect(try chunked.reply().status == 413)
    #expect(try served.request("GET", "k").body.count == 1000)
  }

  @Test("A head over the limit is refused")
  func longHead() throws {
    let served = try Served()
    for head in [
      "GET /metadata?key=\(String(repeating: "k", count: 200_000)) HTTP/1.1\r\n\r\n",
      "GET /health HTTP/1.1\r\nX: \(String(repeating: "x", count: 200_000))\r\n\r\n",
      "GET /health HTTP/1.1\r\n" + String(repeating: "X: y\r\n", count: 1000) + "\r\n",
    ] {
      let connection = try RawHTTP(port: served.port)
      connection.send(head)
      #expect(try connection.reply().status == 431)
    }
  }

  @Test("More entries, or more bytes, than there is room for are refused; what is there can still change")
  func full() throws {
    let served = try Served {
      $0.maximumEntries = 2
      $0.maximumTotalBytes = 100
    }
    #expect(try served.request("PUT", "a", "1").status == 200)
    #expect(try served.request("PUT", "b", String(repeating: "x", count: 90)).status == 200)
    let entries = try served.request("PUT", "c", "1")
    #expect(entries.status == 507 && entries.text.contains("--max-entries"))
    let bytes = try served.request("PUT", "a", String(repeating: "x", count: 10))
    #expect(bytes.status == 507 && bytes.text.contains("--max-total-bytes"))
    #expect(try served.request("GET", "a").text == "1")
    #expect(try served.request("PUT", "b", "small").status == 200)
    #expect(try served.request("PUT", "a", String(repeating: "x", count: 10)).status == 200)
    #expect(try served.request("DELETE", "a").status == 200)
    #expect(try served.request("PUT", "c", "1").status == 200)
  }

  @Test("Whoever is idle, sends no head, no body, or does not close, loses the connection")
  func slow() throws {
    let served = try Served {
      $0.idleTimeout = .milliseconds(300)
      $0.requestTimeout = .milliseconds(300)
      $0.lingerTimeout = .milliseconds(300)
    }
    let idle = try RawHTTP(port: served.port)
    #expect(idle.isClosed())
    let head = try RawHTTP(port: served.port)
    head.send("GET /health HTTP/1.1\r\nHos")
    #expect(head.isClosed())
    let body = try RawHTTP(port: served.port)
    body.send("PUT /metadata?key=k HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
    #expect(try body.reply().status == 408)
    #expect(body.isClosed())
    #expect(try served.request("GET", "k").status == 404)
  }

  @Test("A client that sends half a request and goes has changed nothing")
  func half() throws {
    let served = try Served()
    let connection = try RawHTTP(port: served.port)
    connection.send("PUT /metadata?key=k HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
    connection.finishSending()
    // Whether it is told is up to the parser; the connection ends.
    _ = try? connection.reply()
    #expect(connection.isClosed())
    #expect(try served.request("GET", "k").status == 404)
  }

  @Test("Binary garbage ends its connection and nothing else")
  func garbage() throws {
    let served = try Served()
    _ = try served.request("PUT", "k", "v")
    var state: UInt64 = 42
    for round in 0..<200 {
      let connection = try RawHTTP(port: served.port)
      var bytes = round % 2 == 0 ? [] : Array("PUT /metadata?key=g HTTP/1.1\r\nHost: x\r\n".utf8)
      for _ in 0..<(round * 7) {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        bytes.append(UInt8(truncatingIfNeeded: state >> 33))
      }
      connection.send(bytes)
      connection.finishSending()
      if let reply = try? connection.reply() { #expect([400, 431].contains(reply.status), "\(reply)") }
    }
    for line in [
      "PUT /metadata?key=k HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
      "PUT /metadata?key=k HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
      "PUT /metadata?key=k HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
      "PUT /metadata?key=k HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
      "GET /metadata?key=\u{1} HTTP/9.9\r\n\r\n", "\r\n\r\n\r\n: :\r\n\r\n",
    ] {
      let connection = try RawHTTP(port: served.port)
      connection.send(line)
      connection.finishSending()
      if let reply = try? connection.reply() { #expect([400, 413, 431].contains(reply.status), "\(line): \(reply)") }
    }
    #expect(try served.request("GET", "k").text == "v")
    #expect(try served.request("GET", "g").status == 404)
  }

  @Test("A connection too many costs the one that has been idle longest, not one with a request")
  func connections() throws {
    let served = try Served { $0.maximumConnections = 3 }
    let busy = try RawHTTP(port: served.port)
    busy.send("PUT /metadata?key=k HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
    #expect(try busy.reply().status == 100)
    let oldest = try RawHTTP(port: served.port)
    #expect(try oldest.request("GET", "/health").status == 200)
    let other = try RawHTTP(port: served.port)
    #expect(try other.request("GET", "/health").status == 200)
    let newest = try RawHTTP(port: served.port)
    #expect(try newest.request("GET", "/health").status == 200)
    #expect(oldest.isClosed())
    #expect(try other.request("GET", "/health").status == 200)
    busy.send("abc")
    #expect(try busy.reply().status == 200)
  }

  @Test("200 clients at once", arguments: [false, true])
  func crowd(persistent: Bool) throws {
    let folder = try Folder()
    let served = try Served { $0.persistencePath = persistent ? folder.file : nil }
    let clients = try (0..<200).map { _ in try RawHTTP(port: served.port) }
    for round in 0..<5 {
      for (index, client) in clients.enumerated() {
        let body = "\(index)-\(round)"
        client.send(
          "PUT /metadata?key=k\(index) HTTP/1.1\r\nHost: x\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
      }
      for client in clients { #expect(try client.reply().status == 200) }
      for (index, client) in clients.enumerated() {
        #expect(try client.request("GET", "/metadata?key=k\(index)").text == "\(index)-\(round)")
      }
    }
    #expect(try served.metric("moonrail_metadata_entries") == "200")
    guard persistent else { return }
    served.stop()
    let again = try Served { $0.persistencePath = folder.file }
    for index in 0..<200 { #expect(try again.request("GET", "k\(index)").text == "\(index)-4") }
  }

  @Test("Stopping finishes what is under way and closes what is idle")
  func stop() throws {
    let served = try Served()
    let idle = try RawHTTP(port: served.port)
    #expect(try idle.request("GET", "/health").status == 200)
    let busy = try RawHTTP(port: served.port)
    busy.send("PUT /metadata?key=k HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
    #expect(try busy.reply().status == 100)
    let server = served.server
    let stopping = Thread { server.stop() }
    stopping.start()
    #expect(idle.isClosed())
    busy.send("abc")
    #expect(try busy.reply().status == 200)
    #expect(busy.isClosed())
    busy.finishSending()
    #expect(throws: RawHTTP.Failure.self) { try served.request("GET", "k") }
    served.wasStopped()
  }

  @Test("A port that is taken is an error that names it")
  func portTaken() throws {
    let served = try Served()
    let error = #expect(throws: MetadataServerError.self) { try Served { $0.port = served.port } }
    #expect(error?.code == .cannotListen)
    #expect(error?.message.contains("127.0.0.1:\(served.port)") == true)
  }
}
