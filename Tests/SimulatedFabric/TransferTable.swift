import CFabric
import Glibc

extension SimulatedEndpoint {
  /// `fi_read`, `fi_write` and their kin.
  nonisolated(unsafe) static let transferTable = makeTable(
    fi_ops_rma(
      size: MemoryLayout<fi_ops_rma>.size, read: refusal(), readv: refusal(), readmsg: refusal(), write: refusal(),
      writev: refusal(), writemsg: refusal(), inject: refusal(), writedata: refusal(), injectdata: refusal())
  ) { table in
    table.read = { endpoint, buffer, count, descriptor, source, address, key, context in
      post(
        endpoint,
        TransferRequest(
          direction: .read, segments: [Segment(start: buffer, count: count)], descriptors: [descriptor],
          destination: source, remoteAddress: address, key: key, context: context))
    }
    table.write = { endpoint, buffer, count, descriptor, destination, address, key, context in
      post(
        endpoint,
        TransferRequest(
          direction: .write, segments: [Segment(start: UnsafeMutableRawPointer(mutating: buffer), count: count)],
          descriptors: [descriptor], destination: destination, remoteAddress: address, key: key, context: context))
    }
    table.readv = { endpoint, segments, descriptors, count, source, address, key, context in
      post(
        endpoint,
        TransferRequest(
          direction: .read, segments: list(segments, count), descriptors: list(descriptors, count),
          destination: source, remoteAddress: address, key: key, context: context))
    }
    table.writev = { endpoint, segments, descriptors, count, destination, address, key, context in
      post(
        endpoint,
        TransferRequest(
          direction: .write, segments: list(segments, count), descriptors: list(descriptors, count),
          destination: destination, remoteAddress: address, key: key, context: context))
    }
    table.readmsg = { endpoint, message, flags in post(endpoint, .read, message, flags) }
    table.writemsg = { endpoint, message, flags in post(endpoint, .write, message, flags) }
    table.inject = { endpoint, buffer, count, destination, address, key in
      post(
        endpoint,
        TransferRequest(
          direction: .write, segments: [Segment(start: UnsafeMutableRawPointer(mutating: buffer), count: count)],
          descriptors: [], destination: destination, remoteAddress: address, key: key, context: nil,
          isInjected: true))
    }
  }

  private static func post(_ endpoint: UnsafeMutablePointer<fid_ep>?, _ request: TransferRequest) -> Int {
    call(endpoint, as: SimulatedEndpoint.self, closed: Int(-FI_EINVAL)) { endpoint, state in
      var request = request
      if endpoint.completesByDefault { request.isSignaled = true }
      return endpoint.post(request, &state)
    }
  }

  private static func post(
    _ endpoint: UnsafeMutablePointer<fid_ep>?, _ direction: TransferRequest.Direction,
    _ message: UnsafePointer<fi_msg_rma>?, _ flags: UInt64
  ) -> Int {
    guard let message = message?.pointee, message.rma_iov_count == 1, let remote = message.rma_iov?.pointee else {
      return Int(-FI_EINVAL)
    }
    guard flags & FI_REMOTE_CQ_DATA == 0 else { return Int(-FI_EOPNOTSUPP) }
    let request = TransferRequest(
      direction: direction, segments: list(message.msg_iov, message.iov_count),
      descriptors: list(message.desc, message.iov_count), destination: message.addr, remoteAddress: remote.addr,
      key: remote.key, context: message.context, isSignaled: flags & FI_COMPLETION != 0)
    guard remote.len == request.count else { return Int(-FI_EINVAL) }
    return call(endpoint, as: SimulatedEndpoint.self, closed: Int(-FI_EINVAL)) { $0.post(request, &$1) }
  }

  private static func list(_ segments: UnsafePointer<iovec>?, _ count: Int) -> [Segment] {
    UnsafeBufferPointer(start: segments, count: segments == nil ? 0 : count)
      .map { Segment(start: $0.iov_base, count: $0.iov_len) }
  }

  private static func list(
    _ descriptors: UnsafeMutablePointer<UnsafeMutableRawPointer?>?, _ count: Int
  ) -> [UnsafeMutableRawPointer?] {
    Array(UnsafeBufferPointer(start: descriptors, count: descriptors == nil ? 0 : count))
  }
}
