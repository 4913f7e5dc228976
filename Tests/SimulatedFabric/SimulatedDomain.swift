import CFabric
import Synchronization

/// An open domain: one NIC, as one engine has it.
final class SimulatedDomain: SimulatedObject, @unchecked Sendable {
  let name: String
  let nic: Int
  /// The number of its fabric.
  let fabric: Int
  let registrationMode: Int32
  /// What remote endpoints may reach, by key.
  var regions: [UInt64: SimulatedRegion] = [:]

  private let callsAreSerialised: Bool
  private let occupied = Atomic(false)

  init?(_ fabric: SimulatedFabricObject, _ info: fi_info) {
    let options = fabric.network.options
    guard let attributes = info.domain_attr?.pointee, let name = attributes.name.map({ String(cString: $0) }),
      let nic = (0..<options.nicCount).first(where: { options.domainName($0) == name })
    else { return nil }
    self.name = name
    self.nic = nic
    self.fabric = fabric.number
    registrationMode = attributes.mr_mode
    callsAreSerialised = attributes.threading == FI_THREAD_DOMAIN
    super.init(.domain, fabric.network)
  }

  override var domain: SimulatedDomain? { self }

  /// Notes that a thread is inside; says whether another is already, against what the engine promised.
  func enter() -> Bool {
    callsAreSerialised && occupied.exchange(true, ordering: .relaxed)
  }

  func leave() {
    occupied.store(false, ordering: .relaxed)
  }

  func fid(_ context: UnsafeMutableRawPointer?) -> fid_domain {
    fid_domain(
      fid: CFabric.fid(fclass: Int(FI_CLASS_DOMAIN), context: context, ops: Self.common), ops: Self.table,
      mr: SimulatedRegion.registrationTable)
  }

  nonisolated(unsafe) private static let common = makeCommonTable { table in
    table.close = { closeObject($0) }
    table.bind = { domain, other, _ in
      call(domain, as: SimulatedDomain.self, closed: -FI_EINVAL) { domain, _ in
        guard let other, let queue = Handle.object(behind: other) as? SimulatedEventQueue else { return -FI_EINVAL }
        domain.rest(on: queue)
        return 0
      }
    }
  }

  nonisolated(unsafe) private static let table = makeTable(
    fi_ops_domain(
      size: MemoryLayout<fi_ops_domain>.size, av_open: refusal(), cq_open: refusal(), endpoint: refusal(),
      scalable_ep: refusal(), cntr_open: refusal(), poll_open: refusal(), stx_ctx: refusal(), srx_ctx: refusal(),
      query_atomic: refusal(), query_collective: refusal(), endpoint2: refusal())
  ) { table in
    table.av_open = { domain, attributes, result, context in
      call(domain, as: SimulatedDomain.self, closed: -FI_EINVAL) { domain, state in
        let type = attributes?.pointee.type ?? FI_AV_UNSPEC
        guard type == FI_AV_UNSPEC || type == FI_AV_TABLE else { return -FI_EINVAL }
        attributes?.pointee.type = FI_AV_TABLE
        let vector = SimulatedAddressVector(domain)
        result?.pointee = Handle.make(vector.fid(context), for: vector, &state)
        return 0
      }
    }
    table.cq_open = { domain, attributes, result, context in
      call(domain, as: SimulatedDomain.self, closed: -FI_EINVAL) { domain, state in
        guard let queue = SimulatedCompletionQueue(domain, attributes) else { return -FI_ENOSYS }
        result?.pointee = Handle.make(queue.fid(context), for: queue, &state)
        return 0
      }
    }
    table.endpoint = { domain, info, result, context in
      call(domain, as: SimulatedDomain.self, closed: -FI_EINVAL) { domain, state in
        if state.faults.refusedEndpoints > 0 {
          state.faults.refusedEndpoints -= 1
          return -FI_ENOMEM
        }
        guard let info = info?.pointee, let endpoint = SimulatedEndpoint(domain, info, &state) else {
          return -FI_EINVAL
        }
        result?.pointee = Handle.make(endpoint.fid(context), for: endpoint, &state)
        return 0
      }
    }
  }
}
