import CFabric
import Glibc

/// A completion queue. Nothing makes progress but by being polled.
final class SimulatedCompletionQueue: SimulatedObject, @unchecked Sendable {
  /// What an engine reads about an operation.
  struct Completion {
    var context: UnsafeMutableRawPointer?
    var flags: UInt64
    var count: Int
    var failure: CompletionError?
    var endpoint: SimulatedEndpoint
  }

  private let home: SimulatedDomain
  private let size: Int
  private let entrySize: Int
  /// How often it was polled.
  private(set) var polls: UInt64 = 0
  /// The open endpoints that complete here.
  private var endpoints: [SimulatedEndpoint] = []
  /// What was not read yet, from `first` on.
  private var completions: [Completion] = []
  private var first = 0

  /// Nil if the queue asked for is not to be had. Writes back what was granted.
  init?(_ domain: SimulatedDomain, _ attributes: UnsafeMutablePointer<fi_cq_attr>?) {
    let most = domain.network.options.completionQueueSize
    let wanted = attributes?.pointee.size ?? 0
    switch attributes?.pointee.format ?? FI_CQ_FORMAT_UNSPEC {
    case FI_CQ_FORMAT_MSG: entrySize = MemoryLayout<fi_cq_msg_entry>.stride
    case FI_CQ_FORMAT_DATA: entrySize = MemoryLayout<fi_cq_data_entry>.stride
    case FI_CQ_FORMAT_TAGGED: entrySize = MemoryLayout<fi_cq_tagged_entry>.stride
    default: entrySize = MemoryLayout<fi_cq_entry>.stride
    }
    size = wanted == 0 ? most : min(wanted, most)
    home = domain
    let waiting = attributes?.pointee.wait_obj ?? FI_WAIT_NONE
    guard waiting == FI_WAIT_NONE || waiting == FI_WAIT_UNSPEC else { return nil }
    attributes?.pointee.size = size
    super.init(.completionQueue, domain.network)
    rest(on: domain)
  }

  override var domain: SimulatedDomain? { home }

  override func closed(_ state: inout Network.State) {
    completions = []
    first = 0
  }

  func attach(_ endpoint: SimulatedEndpoint) { endpoints.append(endpoint) }

  func detach(_ endpoint: SimulatedEndpoint) { endpoints.removeAll { $0 === endpoint } }

  func push(_ completion: Completion) { completions.append(completion) }

  private func progress(_ state: inout Network.State) {
    polls += 1
    for endpoint in endpoints { endpoint.progress(at: polls, &state) }
    let unread = completions.count - first
    if unread > size { state.violate("completion queue of \(size) overrun: \(unread) completions are unread") }
  }

  private func next() -> Completion? { first < completions.count ? completions[first] : nil }

  private func takeNext(_ state: inout Network.State) {
    completions[first].endpoint.occupy(-1, &state)
    first += 1
    if first == completions.count {
      completions.removeAll(keepingCapacity: true)
      first = 0
    }
  }

  private func read(
    into buffer: UnsafeMutableRawPointer?, count: Int, _ state: inout Network.State
  ) -> Int {
    progress(&state)
    guard let buffer, count > 0 else { return 0 }
    var written = 0
    while written < count, let completion = next(), completion.failure == nil {
      // The shorter formats are beginnings of this one.
      var entry = fi_cq_tagged_entry()
      entry.op_context = completion.context
      entry.flags = completion.flags
      memcpy(buffer + written * entrySize, &entry, entrySize)
      written += 1
      takeNext(&state)
    }
    if written > 0 { return written }
    return next() == nil ? Int(-FI_EAGAIN) : -Int(FI_EAVAIL)
  }

  private func readError(
    into entry: UnsafeMutablePointer<fi_cq_err_entry>?, _ state: inout Network.State
  ) -> Int {
    guard let entry else { return Int(-FI_EINVAL) }
    if entry.pointee.err_data_size != 0 || entry.pointee.err_data != nil {
      state.violate("fi_cq_readerr with an entry that offers room for error data: is it zeroed?")
    }
    guard let completion = next(), let failure = completion.failure else { return Int(-FI_EAGAIN) }
    entry.pointee = fi_cq_err_entry()
    entry.pointee.op_context = completion.context
    entry.pointee.flags = completion.flags
    entry.pointee.err = failure.error
    entry.pointee.prov_errno = failure.providerError
    takeNext(&state)
    return 1
  }

  func fid(_ context: UnsafeMutableRawPointer?) -> fid_cq {
    fid_cq(fid: CFabric.fid(fclass: Int(FI_CLASS_CQ), context: context, ops: Self.common), ops: Self.table)
  }

  nonisolated(unsafe) private static let common = makeCommonTable { $0.close = { closeObject($0) } }

  nonisolated(unsafe) private static let table = makeTable(
    fi_ops_cq(
      size: MemoryLayout<fi_ops_cq>.size, read: refusal(), readfrom: refusal(), readerr: refusal(),
      sread: refusal(), sreadfrom: refusal(), signal: refusal(),
      strerror: { _, number, _, buffer, size in
        let text = ProviderError.text(number)
        if let buffer, size > 0 {
          let length = min(strlen(text), size - 1)
          memcpy(buffer, text, length)
          buffer[length] = 0
        }
        return text
      })
  ) { table in
    table.read = { queue, buffer, count in
      call(queue, as: SimulatedCompletionQueue.self, closed: Int(-FI_EINVAL)) { queue, state in
        queue.read(into: buffer, count: count, &state)
      }
    }
    table.readerr = { queue, entry, _ in
      call(queue, as: SimulatedCompletionQueue.self, closed: Int(-FI_EINVAL)) { queue, state in
        queue.readError(into: entry, &state)
      }
    }
  }
}
