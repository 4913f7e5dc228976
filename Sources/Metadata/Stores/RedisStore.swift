public import NIOCore
internal import Synchronization
public import Wire

/// Redis: `SET`, `GET` and `DEL`, over one connection that is opened with the first command and again after a failure.
public final class RedisStore: MetadataStore {
  /// The server.
  public let address: String
  /// Five seconds.
  public let timeout = Duration.seconds(5)
  /// Values end as peers' JSON does.
  public let valuesEndInNewline = true

  private struct State {
    var connection: EventLoopFuture<RedisConnection>?
    /// Tells this connection from the next.
    var number = 0
    var isClosed = false
  }

  private let server: HostPort
  private let options: MetadataStoreOptions
  private let connector: StoreConnector
  private let loop: any EventLoop
  private let state = Mutex(State())

  /// The server at `server`, by a connection on `group`; `options` say who we are there.
  public init(_ server: HostPort, options: MetadataStoreOptions, group: any EventLoopGroup) {
    self.server = server
    self.options = options
    address = "redis://\(server)"
    connector = StoreConnector(group: group)
    loop = group.next()
  }

  /// Sets the value of a key.
  public func put(_ key: String, _ value: [UInt8], deadline: NIODeadline) -> EventLoopFuture<Void> {
    run("SET", key, value, deadline: deadline) { reply in
      guard case .simple = reply else { return nil }
      return ()
    }
  }

  /// The value of a key, or nil.
  public func get(_ key: String, deadline: NIODeadline) -> EventLoopFuture<[UInt8]?> {
    run("GET", key, nil, deadline: deadline) { reply in
      switch reply {
      case .bulk(let bytes): .some(bytes)
      case .null: .some(nil)
      default: nil
      }
    }
  }

  /// Removes a key; whether there was one.
  public func remove(_ key: String, deadline: NIODeadline) -> EventLoopFuture<Bool> {
    run("DEL", key, nil, deadline: deadline) { reply in
      guard case .integer(let count) = reply else { return nil }
      return count > 0
    }
  }

  /// Closes the connection.
  public func close() {
    let connection = state.withLock { state in
      state.isClosed = true
      return state.connection
    }
    connection?.whenSuccess { $0.close() }
  }

  // MARK: Commands

  private func run<Value: Sendable>(
    _ verb: String, _ key: String, _ value: [UInt8]?, deadline: NIODeadline,
    read: @escaping @Sendable (RESPValue) -> Value?
  ) -> EventLoopFuture<Value> {
    var words = [Array(verb.utf8), Array(key.utf8)]
    if let value { words.append(value) }
    let command = words
    return StoreRetry(address: address, loop: loop, deadline: deadline).run { [self] _ in
      connected(by: deadline).flatMap { connection, number in
        connection.send(command, deadline: deadline).flatMapErrorThrowing { [self] error in
          // It is of no use any more; the next command opens another.
          state.withLock { if $0.number == number { $0.connection = nil } }
          throw error
        }
      }.flatMapThrowing { [self] reply in
        if case .error(let text) = reply { throw refusal("\(verb) of '\(key)'", text) }
        if let value = read(reply) { return value }
        throw MetadataError(
          .unexpectedReply, "\(address) answers \(verb) of '\(key)' with a value of another type",
          advice: "another program uses this key; set MC_METADATA_CLUSTER_ID or MC_REDIS_DB_INDEX to stay apart")
      }
    }
  }

  private func connected(by deadline: NIODeadline) -> EventLoopFuture<(RedisConnection, Int)> {
    let (current, number): (EventLoopFuture<RedisConnection>?, Int) = state.withLock { state in
      if let connection = state.connection { return (connection, state.number) }
      guard !state.isClosed else { return (nil, state.number) }
      state.number += 1
      let number = state.number
      // Whoever is first connects for all who come meanwhile.
      let connection = loop.flatSubmit { [self] in connect(by: deadline) }
      state.connection = connection
      connection.whenFailure { [self] _ in
        self.state.withLock { if $0.number == number { $0.connection = nil } }
      }
      return (connection, number)
    }
    guard let current else {
      return loop.makeFailedFuture(
        MetadataError(.stopped, "\(address) is not used any more", advice: "make the call before the engine shuts down")
      )
    }
    return current.map { ($0, number) }
  }

  private func connect(by deadline: NIODeadline) -> EventLoopFuture<RedisConnection> {
    connector.connect(to: server, on: loop, deadline: deadline)
      .flatMapThrowing { [self] channel in try RedisConnection(channel, server: server) }
      .flatMap { [self] connection in
        logIn(connection, deadline: deadline).flatMap { [self] in select(connection, deadline: deadline) }
          .map { connection }
          .flatMapErrorThrowing { error in
            connection.close()
            throw error
          }
      }
  }

  private func logIn(_ connection: RedisConnection, deadline: NIODeadline) -> EventLoopFuture<Void> {
    guard !options.redisPassword.isEmpty else { return loop.makeSucceededVoidFuture() }
    let user = options.redisUser.isEmpty ? [] : [Array(options.redisUser.utf8)]
    return connection.send([Array("AUTH".utf8)] + user + [Array(options.redisPassword.utf8)], deadline: deadline)
      .flatMapThrowing { [self] reply in
        if case .error(let text) = reply {
          throw MetadataError(
            .storeRefused, "\(address) does not let us in: \(printable(text.utf8))",
            advice: "check MC_REDIS_USERNAME and MC_REDIS_PASSWORD")
        }
      }
  }

  private func select(_ connection: RedisConnection, deadline: NIODeadline) -> EventLoopFuture<Void> {
    guard options.redisDatabase != 0 else { return loop.makeSucceededVoidFuture() }
    return connection.send([Array("SELECT".utf8), Array(String(options.redisDatabase).utf8)], deadline: deadline)
      .flatMapThrowing { [self] reply in
        if case .error(let text) = reply { throw refusal("SELECT \(options.redisDatabase)", text) }
      }
  }

  private func refusal(_ what: String, _ text: String) -> MetadataError {
    let kind = text.prefix { $0 != " " }
    let passing: Set<Substring> = ["LOADING", "BUSY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN"]
    let advice =
      switch kind {
      case "NOAUTH", "WRONGPASS", "NOPERM": "check MC_REDIS_USERNAME and MC_REDIS_PASSWORD"
      case "MOVED", "ASK": "this is one node of a Redis cluster; use a single server"
      case "WRONGTYPE":
        "another program uses this key; set MC_METADATA_CLUSTER_ID or MC_REDIS_DB_INDEX to stay apart"
      case "READONLY": "this is a replica; use its master"
      default: "see Redis's log, and MC_REDIS_DB_INDEX"
      }
    return MetadataError(
      passing.contains(kind) ? .storeUnavailable : .storeRefused,
      "\(address) answers \(what): \(printable(text.utf8))", advice: advice)
  }
}
