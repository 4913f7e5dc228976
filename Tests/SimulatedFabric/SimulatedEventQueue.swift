import CFabric

/// An event queue, on which nothing ever happens.
final class SimulatedEventQueue: SimulatedObject, @unchecked Sendable {
  init(_ network: Network) { super.init(.eventQueue, network) }

  func fid(_ context: UnsafeMutableRawPointer?) -> fid_eq {
    fid_eq(fid: CFabric.fid(fclass: Int(FI_CLASS_EQ), context: context, ops: Self.common), ops: Self.table)
  }

  nonisolated(unsafe) private static let common = makeCommonTable { $0.close = { closeObject($0) } }

  nonisolated(unsafe) private static let table = makeTable(
    fi_ops_eq(
      size: MemoryLayout<fi_ops_eq>.size, read: refusal(), readerr: refusal(), write: refusal(), sread: refusal(),
      strerror: { _, number, _, _, _ in ProviderError.text(number) })
  ) { table in
    table.read = { queue, _, _, _, _ in
      call(queue, as: SimulatedEventQueue.self, closed: Int(-FI_EINVAL)) { _, _ in Int(-FI_EAGAIN) }
    }
    table.readerr = { queue, _, _ in
      call(queue, as: SimulatedEventQueue.self, closed: Int(-FI_EINVAL)) { _, _ in Int(-FI_EAGAIN) }
    }
  }
}
