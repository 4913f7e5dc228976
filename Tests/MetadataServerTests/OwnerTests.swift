import Glibc
import TestSupport
import Testing

@testable import MetadataServer

@Suite("Who owns a name: rpc_meta", .timeLimit(.minutes(2)))
struct OwnerTests {
  private static let key = "mooncake%2Frpc_meta%2Fhost-7"
  private static let refusal = "Duplicate rpc_meta key not allowed"

  @Test("An owner that says the same again is told that nothing changed")
  func same() throws {
    let served = try Served()
    let owner = try LivingOwner()
    #expect(try served.request("PUT", Self.key, owner.entry).text == "metadata updated")
    let again = try served.request("PUT", Self.key, owner.entry)
    #expect(again.status == 200 && again.text == "metadata unchanged")
  }

  @Test("While the owner lives, its name is not given to another")
  func alive() throws {
    let served = try Served()
    let (owner, other) = (try LivingOwner(), try LivingOwner())
    _ = try served.request("PUT", Self.key, owner.entry)
    let reply = try served.request("PUT", Self.key, other.entry)
    #expect(reply.status == 400 && reply.text == Self.refusal)
    #expect(try served.request("GET", Self.key).text == owner.entry)
    #expect(served.lines.contains("its engine answers at 127.0.0.1:\(owner.port)"))
    // Until it says goodbye.
    #expect(try served.request("DELETE", Self.key).status == 200)
    #expect(try served.request("PUT", Self.key, other.entry).text == "metadata updated")
  }

  @Test("A dead owner is replaced, and the log says so", arguments: [false, true])
  func dead(persistent: Bool) throws {
    let folder = try Folder()
    let served = try Served { $0.persistencePath = persistent ? folder.file : nil }
    let (owner, other) = (try LivingOwner(), try LivingOwner())
    _ = try served.request("PUT", Self.key, owner.entry)
    owner.die()
    #expect(try served.request("PUT", Self.key, other.entry).text == "metadata updated")
    #expect(try served.request("GET", Self.key).text == other.entry)
    #expect(served.lines.contains("has a new owner"))
    #expect(try served.metric("moonrail_metadata_replaced_owners_total") == "1")
  }

  @Test("An owner that takes connections and says nothing, or nonsense, counts as alive")
  func silent() throws {
    let served = try Served { $0.ownerReplyTimeout = .milliseconds(200) }
    let listener = try SilentListener()
    // The kernel takes connections for a process that does not; the server itself is a service of another kind.
    for port in [listener.port, served.port] {
      let key = "\(Self.key)-\(port)"
      _ = try served.request("PUT", key, "{\"ip_or_host_name\":\"127.0.0.1\",\"rpc_port\":\(port)}")
      #expect(try served.request("PUT", key, "{}").text == Self.refusal)
    }
  }

  @Test(
    "An owner that cannot be asked keeps its name",
    arguments: [
      "", "{}", "null", "[1]", "garbage", "{\"ip_or_host_name\":\"127.0.0.1\",\"rpc_port\":0}",
      "{\"ip_or_host_name\":\"\",\"rpc_port\":1}", "{\"ip_or_host_name\":7,\"rpc_port\":1}",
      "{\"ip_or_host_name\":\"127.0.0.1\",\"rpc_port\":70000}", "{\"ip_or_host_name\":\"127.0.0.1\",\"rpc_port\":-1}",
    ])
  func unknown(entry: String) throws {
    let served = try Served()
    _ = try served.request("PUT", Self.key, entry)
    let reply = try served.request("PUT", Self.key, "{\"other\":1}")
    #expect(reply.status == 400 && reply.text == Self.refusal)
  }

  @Test("Of two that want a dead owner's name at once, one gets it")
  func race() throws {
    let served = try Served()
    let dead = try LivingOwner()
    let (first, second) = (try LivingOwner(), try LivingOwner())
    _ = try served.request("PUT", Self.key, dead.entry)
    dead.die()
    let connections = try [RawHTTP(port: served.port), RawHTTP(port: served.port)]
    for (connection, owner) in zip(connections, [first, second]) {
      let body = owner.entry
      connection.send(
        "PUT /metadata?key=\(Self.key) HTTP/1.1\r\nHost: x\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)")
    }
    #expect(try connections.map { try $0.reply().status }.sorted() == [200, 400])
  }

  @Test("Owners are asked only so many at once")
  func bound() throws {
    let served = try Served {
      $0.maximumOwnerChecks = 1
      $0.ownerReplyTimeout = .seconds(60)
    }
    let listener = try SilentListener()
    let entry = "{\"ip_or_host_name\":\"127.0.0.1\",\"rpc_port\":\(listener.port)}"
    _ = try served.request("PUT", Self.key, entry)
    let first = try RawHTTP(port: served.port)
    first.send("PUT /metadata?key=\(Self.key) HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
    // The check's connections, and that of the probe: the first check is under way.
    listener.acceptOne()
    #expect(try served.request("PUT", Self.key, "{}").status == 503)
    listener.close()
    #expect(try first.reply().status == 400)
  }
}

/// A process that listens and does nothing.
final class SilentListener {
  let port: UInt16
  private var descriptor: Int32
  private var accepted: [Int32] = []

  init() throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let descriptor = descriptor
    let code = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, length) == 0 && listen(descriptor, 16) == 0 && getsockname(descriptor, $0, &length) == 0
      }
    }
    guard code else { throw RawHTTP.Failure(description: "no listener") }
    port = UInt16(bigEndian: address.sin_port)
  }

  func acceptOne() { accepted.append(accept(descriptor, nil, nil)) }

  func close() {
    for file in accepted + [descriptor] where file >= 0 { Glibc.close(file) }
    accepted = []
    descriptor = -1
  }

  deinit { close() }
}
