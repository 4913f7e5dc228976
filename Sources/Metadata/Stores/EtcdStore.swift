internal import FoundationEssentials
public import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import Synchronization
public import Wire

/// etcd, version 3, through the JSON gateway that each of its servers has: the same keys and values as over gRPC.
public final class EtcdStore: MetadataStore {
  /// The endpoints.
  public let address: String
  /// Five seconds, as peers have it.
  public let timeout = Duration.seconds(5)
  /// Values end as peers' JSON does.
  public let valuesEndInNewline = true

  private let endpoints: [HostPort]
  private let connector: StoreConnector
  /// The endpoint that answered last.
  private let preferred = Atomic<Int>(0)

  /// The cluster that is reached through `endpoints`, by connections on `group`.
  public init(_ endpoints: [HostPort], group: any EventLoopGroup) {
    self.endpoints = endpoints
    address = "etcd://" + endpoints.map(\.description).joined(separator: ",")
    connector = StoreConnector(group: group)
  }

  /// Sets the value of a key.
  public func put(_ key: String, _ value: [UInt8], deadline: NIODeadline) -> EventLoopFuture<Void> {
    run("put", key, value: value, deadline: deadline).map { _ in }
  }

  /// The value of a key, or nil.
  public func get(_ key: String, deadline: NIODeadline) -> EventLoopFuture<[UInt8]?> {
    run("range", key, value: nil, deadline: deadline).flatMap { [self] body in
      // A descriptor of megabytes takes a while, for which an event loop must not be kept.
      NIOThreadPool.singleton.runIfActive(eventLoop: connector.group.next()) { [self] in
        try read(RangeReply.self, body, key).kvs?.first.map { Array($0.value ?? Data()) }
      }
    }
  }

  /// Removes a key; whether there was one.
  public func remove(_ key: String, deadline: NIODeadline) -> EventLoopFuture<Bool> {
    run("deleterange", key, value: nil, deadline: deadline).flatMapThrowing { [self] body in
      // Numbers of 64 bits are strings in this dialect; 0 is left out.
      try read(DeleteReply.self, body, key).deleted.map { $0 != "0" } ?? false
    }
  }

  /// Nothing is kept open.
  public func close() {}

  private func run(
    _ operation: String, _ key: String, value: [UInt8]?, deadline: NIODeadline
  ) -> EventLoopFuture<[UInt8]> {
    var body = #"{"key":"\#(Data(key.utf8).base64EncodedString())""#
    if let value { body += #","value":"\#(Data(value).base64EncodedString())""# }
    let bytes = Array((body + "}").utf8)
    let first = preferred.load(ordering: .relaxed)
    let retry = StoreRetry(address: address, loop: connector.group.next(), deadline: deadline)
    return retry.run { [self] attempt in
      let index = (first + attempt) % endpoints.count
      let endpoint = endpoints[index]
      // One that swallows packets leaves time for those that come after it.
      let left = max(deadline - .now(), .nanoseconds(0))
      let share = .now() + .nanoseconds(left.nanoseconds / Int64(max(1, endpoints.count - attempt)))
      let request = HTTPRequest(
        method: .POST, target: "/v3/kv/\(operation)", authority: endpoint.description, body: bytes)
      return HTTPExchange.run(request, to: endpoint, by: connector, connectBy: share, deadline: share)
        .flatMapThrowing { [self] reply in
          guard reply.status == 200 else { throw refusal(operation, key, reply, endpoint) }
          preferred.store(index, ordering: .relaxed)
          return reply.body
        }
    }
  }

  private func refusal(_ operation: String, _ key: String, _ reply: HTTPReply, _ endpoint: HostPort) -> MetadataError {
    MetadataError(
      // 503 and its like: no leader, or just starting.
      reply.status >= 500 ? .storeUnavailable : .storeRefused,
      "etcd at \(endpoint) answers \(operation) of '\(key)' with status \(reply.status): "
        + printable(reply.body.prefix(200)),
      advice: reply.status == 404
        ? "it has no JSON gateway at /v3; etcd 3.4 or later is needed, without --enable-grpc-gateway=false"
        : "see etcd's log; values over 1.5 MiB need its flag --max-request-bytes")
  }

  private func read<Reply: Decodable>(
    _ type: Reply.Type, _ body: [UInt8], _ key: String
  ) throws(MetadataError) -> Reply {
    do {
      return try JSONDecoder().decode(type, from: Data(body))
    } catch {
      throw MetadataError(
        .unexpectedReply, "\(address) answers for '\(key)' with something that is not etcd's",
        advice: "check that the address is that of an etcd client port")
    }
  }

  private struct RangeReply: Decodable {
    struct Entry: Decodable {
      /// Base64 in JSON; left out where it is empty.
      let value: Data?
    }
    let kvs: [Entry]?
  }

  private struct DeleteReply: Decodable {
    let deleted: String?
  }
}
