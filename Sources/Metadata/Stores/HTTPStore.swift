public import NIOCore
internal import NIOHTTP1

/// A metadata server behind a URL: `PUT`, `GET` and `DELETE` of `?key=`.
public final class HTTPStore: MetadataStore {
  /// The URL.
  public let address: String
  /// Three seconds, as peers have it.
  public let timeout = Duration.seconds(3)
  /// Values are compact JSON.
  public let valuesEndInNewline = false

  /// Of the whole time, what connecting may take.
  static let connectTimeout = TimeAmount.milliseconds(1500)

  private let location: HTTPAddress
  private let connector: StoreConnector

  /// The store at `location`, by connections on `group`.
  public init(_ location: HTTPAddress, group: any EventLoopGroup) {
    self.location = location
    address = "http://\(location.authority)\(location.path)"
    connector = StoreConnector(group: group)
  }

  /// Sets the value of a key.
  public func put(_ key: String, _ value: [UInt8], deadline: NIODeadline) -> EventLoopFuture<Void> {
    run(.PUT, key, body: value, deadline: deadline) { [self] reply throws(MetadataError) in
      guard reply.status != 200 else { return }
      if reply.status == 400, printable(reply.body).contains("Duplicate rpc_meta key") {
        throw MetadataError(
          .keyExists, "\(address) holds another value of '\(key)' and does not replace it",
          advice: "stop the engine of that name, or remove the key from the store")
      }
      throw unexpected("PUT", key, reply)
    }
  }

  /// The value of a key, or nil.
  public func get(_ key: String, deadline: NIODeadline) -> EventLoopFuture<[UInt8]?> {
    run(.GET, key, body: nil, deadline: deadline) { [self] reply throws(MetadataError) in
      switch reply.status {
      case 200: return reply.body
      case 404: return nil
      default: throw unexpected("GET", key, reply)
      }
    }
  }

  /// Removes a key; whether there was one.
  public func remove(_ key: String, deadline: NIODeadline) -> EventLoopFuture<Bool> {
    run(.DELETE, key, body: nil, deadline: deadline) { [self] reply throws(MetadataError) in
      switch reply.status {
      case 200: return true
      case 404: return false
      default: throw unexpected("DELETE", key, reply)
      }
    }
  }

  /// Nothing is kept open.
  public func close() {}

  private func run<Value: Sendable>(
    _ method: HTTPMethod, _ key: String, body: [UInt8]?, deadline: NIODeadline,
    read: @escaping @Sendable (HTTPReply) throws(MetadataError) -> Value
  ) -> EventLoopFuture<Value> {
    let request = HTTPRequest(
      method: method, target: "\(location.path)?key=\(PercentEncoding.encode(key))", authority: location.authority,
      body: body)
    let loop = connector.group.next()
    return StoreRetry(address: address, loop: loop, deadline: deadline).run { [self] _ in
      HTTPExchange.run(
        request, to: location.server, by: connector, connectBy: min(deadline, .now() + Self.connectTimeout),
        deadline: deadline
      ).flatMapThrowing { try read($0) }
    }
  }

  private func unexpected(_ method: String, _ key: String, _ reply: HTTPReply) -> MetadataError {
    // A server in trouble may be out of it a moment later; a request that it does not like stays one.
    MetadataError(
      reply.status >= 500 ? .storeUnavailable : .storeRefused,
      "\(address) answers \(method) of '\(key)' with status \(reply.status): \(printable(reply.body.prefix(200)))",
      advice: "check the path of the URL, and the store's log")
  }
}
