internal import Logging
internal import Metadata
internal import NIOCore
internal import NIOHTTP1
internal import Synchronization

/// The routes: what a whole request is answered with.
final class MetadataService: Sendable {
  private let store: EntryStore
  private let owners: OwnerCheck
  private let statistics: ServerStatistics
  private let connections: ConnectionTable
  private let logger: Logger
  private let log: LimitedLog

  init(
    store: EntryStore, owners: OwnerCheck, statistics: ServerStatistics, connections: ConnectionTable, logger: Logger
  ) {
    self.store = store
    self.owners = owners
    self.statistics = statistics
    self.connections = connections
    self.logger = logger
    log = LimitedLog(logger)
  }

  /// The answer to a request.
  func answer(
    _ method: HTTPMethod, _ target: String, _ body: ByteBuffer, on loop: any EventLoop
  ) -> EventLoopFuture<Answer> {
    let target = RequestTarget(target)
    switch target.path {
    case "/metadata":
      return metadata(method, target.key, body, on: loop)
    case "/health":
      return loop.makeSucceededFuture(readOnly(method) { .text(.ok, "OK") })
    case "/metrics":
      return loop.makeSucceededFuture(readOnly(method) { self.metrics() })
    default:
      return loop.makeSucceededFuture(.text(.notFound, "404: Not Found"))
    }
  }

  private func readOnly(_ method: HTTPMethod, _ answer: () -> Answer) -> Answer {
    method == .GET || method == .HEAD
      ? answer() : .text(.methodNotAllowed, "Method not allowed", allowed: "GET, HEAD")
  }

  private func metrics() -> Answer {
    Answer(
      .ok, contentType: "text/plain; version=0.0.4; charset=utf-8",
      body: ByteBuffer(string: statistics.text(store: store, connections: connections.count)))
  }

  private func metadata(
    _ method: HTTPMethod, _ name: String, _ body: ByteBuffer, on loop: any EventLoop
  ) -> EventLoopFuture<Answer> {
    // Before the method is looked at, as upstream does.
    guard !name.isEmpty else { return loop.makeSucceededFuture(.metadata(.badRequest, "metadata key is required")) }
    let key = EntryKey(name)
    switch method {
    case .GET:
      let value = store.value(of: key)
      return loop.makeSucceededFuture(
        value.map { Answer(.ok, contentType: "application/json", body: $0) }
          ?? .metadata(.notFound, "metadata not found"))
    case .PUT:
      return put(key, body, on: loop)
    case .DELETE:
      return store.change(.delete(key), on: loop).map { Self.answer(to: $0) }
    default:
      return loop.makeSucceededFuture(
        .metadata(.methodNotAllowed, "Method not allowed", allowed: "GET, PUT, DELETE"))
    }
  }

  private func put(_ key: EntryKey, _ value: ByteBuffer, on loop: any EventLoop) -> EventLoopFuture<Answer> {
    store.change(.put(key, value, replacing: nil), on: loop).flatMap { outcome in
      guard case .taken(let owner) = outcome else { return loop.makeSucceededFuture(Self.answer(to: outcome)) }
      return self.owners.verdict(of: owner, on: loop).flatMap { verdict in
        switch verdict {
        case .dead(let reason):
          return self.replace(key, owner, with: value, reason, on: loop)
        case .alive(let reason):
          self.log.warning("metadata: \(key) was not taken from its owner: \(reason)")
          return loop.makeSucceededFuture(Self.answer(to: outcome))
        case .busy:
          return loop.makeSucceededFuture(
            .metadata(.serviceUnavailable, "too many owners are being asked whether they live; try again"))
        }
      }
    }
  }

  private func replace(
    _ key: EntryKey, _ owner: ByteBuffer, with value: ByteBuffer, _ reason: String, on loop: any EventLoop
  ) -> EventLoopFuture<Answer> {
    // Only if the entry is still the one whose owner was asked.
    store.change(.put(key, value, replacing: owner), on: loop).map { outcome in
      if outcome == .updated {
        self.statistics.replacedOwners.add(1, ordering: .relaxed)
        self.logger.notice("metadata: \(key) has a new owner; the old one is dead: \(reason)")
      }
      return Self.answer(to: outcome)
    }
  }

  private static func answer(to outcome: ChangeOutcome) -> Answer {
    switch outcome {
    case .updated: return .metadata(.ok, "metadata updated")
    case .unchanged: return .metadata(.ok, "metadata unchanged")
    case .deleted: return .metadata(.ok, "metadata deleted")
    case .missing: return .metadata(.notFound, "metadata not found")
    case .taken: return .metadata(.badRequest, "Duplicate rpc_meta key not allowed")
    case .full(let reason): return .metadata(.insufficientStorage, "metadata not stored: \(reason)")
    case .failed(let reason): return .metadata(.internalServerError, "metadata not stored: \(reason)")
    }
  }
}
