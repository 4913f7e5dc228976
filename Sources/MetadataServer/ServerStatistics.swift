internal import NIOCore
internal import NIOHTTP1
internal import Synchronization

/// What the server has done, for `/metrics`.
final class ServerStatistics: Sendable {
  private struct Kind: Hashable {
    let method: String
    let status: UInt
  }

  private let requests = Mutex<[Kind: UInt64]>([:])
  let replacedOwners = Atomic<UInt64>(0)
  let refusedConnections = Atomic<UInt64>(0)
  private let start = NIODeadline.now()

  /// Counts a request. Methods that are not served share one name: strangers must not choose how many there are.
  func count(_ method: HTTPMethod?, _ status: HTTPResponseStatus) {
    let name = method.flatMap { [.GET, .PUT, .DELETE, .HEAD, .POST].contains($0) ? $0.rawValue : nil } ?? "other"
    requests.withLock { $0[Kind(method: name, status: status.code), default: 0] += 1 }
  }

  /// The text that Prometheus reads.
  func text(store: EntryStore, connections: Int) -> String {
    var text = ""
    func family(_ name: String, _ type: String, _ help: String, _ samples: [(labels: String, value: String)]) {
      text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
      for sample in samples { text += "\(name)\(sample.labels) \(sample.value)\n" }
    }
    let counts = requests.withLock { $0 }.sorted { ($0.key.method, $0.key.status) < ($1.key.method, $1.key.status) }
    family(
      "moonrail_metadata_requests_total", "counter", "Requests by method and status.",
      counts.map { ("{method=\"\($0.key.method)\",status=\"\($0.key.status)\"}", "\($0.value)") })
    let size = store.size
    family("moonrail_metadata_entries", "gauge", "Entries that are kept.", [("", "\(size.entries)")])
    family("moonrail_metadata_entry_bytes", "gauge", "Bytes of their keys and values.", [("", "\(size.bytes)")])
    family(
      "moonrail_metadata_replaced_owners_total", "counter", "Names that were taken from an owner found dead.",
      [("", "\(replacedOwners.load(ordering: .relaxed))")])
    family("moonrail_metadata_connections", "gauge", "Open connections.", [("", "\(connections)")])
    family(
      "moonrail_metadata_connections_refused_total", "counter", "Connections closed because there were too many.",
      [("", "\(refusedConnections.load(ordering: .relaxed))")])
    if let length = store.fileLength {
      family("moonrail_metadata_file_bytes", "gauge", "Length of the file that keeps the entries.", [("", "\(length)")])
    }
    let milliseconds = (NIODeadline.now() - start).nanoseconds / 1_000_000
    let fraction = String(1000 + milliseconds % 1000).dropFirst()
    family(
      "moonrail_metadata_uptime_seconds", "gauge", "Seconds since the start.",
      [("", "\(milliseconds / 1000).\(fraction)")])
    return text
  }
}
