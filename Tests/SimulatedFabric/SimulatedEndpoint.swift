import CFabric
import Glibc

/// An endpoint: what was posted on it and is in flight.
final class SimulatedEndpoint: SimulatedObject, @unchecked Sendable {
  let home: SimulatedDomain
  /// In order of opening, in its network.
  let number: Int
  let address: EndpointAddress
  let depth: Int
  let maximumSize: Int
  var vector: SimulatedAddressVector?
  var queue: SimulatedCompletionQueue?
  var isEnabled = false
  /// Every operation has a completion, asked for or not.
  var completesAll = true
  /// A completion is asked for unless the call says otherwise.
  let completesByDefault: Bool
  var generator: SeededGenerator
  /// Not complete yet, in the order of posting.
  var transfers: [Transfer] = []
  /// Operations whose completion has not been read, which hold on to a slot.
  private(set) var inFlight = 0
  private var isClosed = false

  private var receiveQueue: SimulatedCompletionQueue?

  init?(_ domain: SimulatedDomain, _ info: fi_info, _ state: inout Network.State) {
    let options = domain.network.options
    guard info.ep_attr?.pointee.type == FI_EP_RDM, let transmit = info.tx_attr?.pointee,
      transmit.size <= options.transmitDepth
    else { return nil }
    home = domain
    number = state.counters.endpoints.count
    address = EndpointAddress(network: domain.network.number, nic: domain.nic, endpoint: number + 1)
    depth = transmit.size == 0 ? options.transmitDepth : transmit.size
    maximumSize = options.maximumMessageSize
    completesByDefault = transmit.op_flags & FI_COMPLETION != 0
    generator = SeededGenerator(seed: options.seed &+ UInt64(number) &* 0x9E37_79B9_7F4A_7C15)
    super.init(.endpoint, domain.network)
    rest(on: domain)
    state.counters.endpoints.append(
      .init(
        number: number, nic: domain.nic, fabric: domain.fabric, address: address.bytes,
        options: options.endpointOptions))
  }

  override var domain: SimulatedDomain? { home }

  override func closed(_ state: inout Network.State) {
    queue?.detach(self)
    state.endpoints[address] = nil
    for transfer in transfers { end(transfer) }
    transfers = []
    state.counters.endpoints[number].isOpen = false
    state.counters.endpoints[number].inFlight = 0
    isEnabled = false
    isClosed = true
  }

  /// Takes slots or, with a negative number, gives them back.
  func occupy(_ slots: Int, _ state: inout Network.State) {
    inFlight += slots
    if !isClosed { state.counters.endpoints[number].inFlight = inFlight }
  }

  /// Counts for the endpoint and for its NIC.
  func count(_ state: inout Network.State, _ change: (inout FabricCounters.Traffic) -> Void) {
    change(&state.counters.endpoints[number].traffic)
    change(&state.counters.nics[home.nic])
  }

  /// Lets go of what an operation held, its slot apart.
  func end(_ transfer: Transfer) {
    vector?.operationEnded(to: transfer.request.destination)
    for region in transfer.regions { region.operations -= 1 }
    free(transfer.copy)
  }

  private func bind(_ other: SimulatedObject, _ flags: UInt64, _ state: inout Network.State) -> Int32 {
    guard !isEnabled else { return -Int32(FI_EOPBADSTATE) }
    switch other {
    case let other as SimulatedAddressVector:
      guard other.domain === home, vector == nil else { return -FI_EINVAL }
      vector = other
    case let other as SimulatedCompletionQueue:
      guard other.domain === home, flags & (FI_TRANSMIT | FI_RECV) != 0 else { return -Int32(FI_EBADFLAGS) }
      if flags & FI_TRANSMIT != 0 {
        guard queue == nil else { return -FI_EINVAL }
        queue = other
        completesAll = flags & FI_SELECTIVE_COMPLETION == 0
        other.attach(self)
      }
      if flags & FI_RECV != 0 { receiveQueue = other }
    case is SimulatedEventQueue: break
    default: return -FI_EINVAL
    }
    rest(on: other)
    return 0
  }

  private func enable(_ state: inout Network.State) -> Int32 {
    guard vector != nil else { return -Int32(FI_ENOAV) }
    guard queue != nil else { return -Int32(FI_ENOCQ) }
    if state.faults.refusedEnablings > 0 {
      state.faults.refusedEnablings -= 1
      return -FI_EIO
    }
    isEnabled = true
    state.endpoints[address] = self
    return 0
  }

  func fid(_ context: UnsafeMutableRawPointer?) -> fid_ep {
    fid_ep(
      fid: CFabric.fid(fclass: Int(FI_CLASS_EP), context: context, ops: Self.common), ops: Self.optionTable,
      cm: Self.nameTable, msg: Self.messageTable, rma: Self.transferTable, tagged: nil, atomic: nil,
      collective: nil)
  }

  nonisolated(unsafe) private static let common = makeCommonTable { table in
    table.close = { closeObject($0) }
    table.bind = { endpoint, other, flags in
      call(endpoint, as: SimulatedEndpoint.self, closed: -FI_EINVAL) { endpoint, state in
        guard let other, let object = Handle.object(behind: other) else { return -FI_EINVAL }
        return endpoint.bind(object, flags, &state)
      }
    }
    table.control = { endpoint, command, _ in
      call(endpoint, as: SimulatedEndpoint.self, closed: -FI_EINVAL) { endpoint, state in
        command == FI_ENABLE ? endpoint.enable(&state) : -FI_ENOSYS
      }
    }
  }

  nonisolated(unsafe) private static let nameTable = makeTable(
    fi_ops_cm(
      size: MemoryLayout<fi_ops_cm>.size, setname: refusal(), getname: refusal(), getpeer: refusal(),
      connect: refusal(), listen: refusal(), accept: refusal(), reject: refusal(), shutdown: refusal(),
      join: refusal())
  ) { table in
    table.getname = { endpoint, destination, size in
      call(endpoint, as: SimulatedEndpoint.self, closed: -FI_EINVAL) { endpoint, _ in
        guard let size else { return -FI_EINVAL }
        let capacity = size.pointee
        size.pointee = EndpointAddress.size
        return endpoint.address.write(to: destination, capacity: capacity) ? 0 : -Int32(FI_ETOOSMALL)
      }
    }
  }

  nonisolated(unsafe) private static let messageTable = makeTable(
    fi_ops_msg(
      size: MemoryLayout<fi_ops_msg>.size, recv: refusal(), recvv: refusal(), recvmsg: refusal(), send: refusal(),
      sendv: refusal(), sendmsg: refusal(), inject: refusal(), senddata: refusal(), injectdata: refusal())
  ) { _ in }
}
