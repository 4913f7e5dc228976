import CFabric

/// An open fabric.
final class SimulatedFabricObject: SimulatedObject, @unchecked Sendable {
  /// In order of opening.
  let number: Int

  init(_ network: Network, number: Int) {
    self.number = number
    super.init(.fabric, network)
  }

  func fid(_ context: UnsafeMutableRawPointer?) -> fid_fabric {
    fid_fabric(
      fid: CFabric.fid(fclass: Int(FI_CLASS_FABRIC), context: context, ops: Self.common), ops: Self.table,
      api_version: cfabric_version(1, 17))
  }

  nonisolated(unsafe) private static let common = makeCommonTable { $0.close = { closeObject($0) } }

  nonisolated(unsafe) private static let table = makeTable(
    fi_ops_fabric(
      size: MemoryLayout<fi_ops_fabric>.size, domain: refusal(), passive_ep: refusal(), eq_open: refusal(),
      wait_open: refusal(), trywait: refusal(), domain2: refusal())
  ) { table in
    table.domain = { fabric, info, result, context in
      call(fabric, as: SimulatedFabricObject.self, closed: -FI_EINVAL) { fabric, state in
        guard let info = info?.pointee, let domain = SimulatedDomain(fabric, info) else { return -FI_EINVAL }
        domain.rest(on: fabric)
        result?.pointee = Handle.make(domain.fid(context), for: domain, &state)
        return 0
      }
    }
    table.eq_open = { fabric, _, result, context in
      call(fabric, as: SimulatedFabricObject.self, closed: -FI_EINVAL) { fabric, state in
        let queue = SimulatedEventQueue(fabric.network)
        queue.rest(on: fabric)
        result?.pointee = Handle.make(queue.fid(context), for: queue, &state)
        return 0
      }
    }
  }
}
