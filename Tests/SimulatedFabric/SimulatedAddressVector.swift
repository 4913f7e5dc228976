import CFabric

/// An address vector, of the table kind: an address's number is its place.
final class SimulatedAddressVector: SimulatedObject, @unchecked Sendable {
  private let home: SimulatedDomain
  private var entries: [EndpointAddress?] = []
  private var places: [EndpointAddress: Int] = [:]
  /// Operations in flight to each place.
  private var inFlight: [UInt64: Int] = [:]

  init(_ domain: SimulatedDomain) {
    home = domain
    super.init(.addressVector, domain.network)
    rest(on: domain)
  }

  override var domain: SimulatedDomain? { home }

  func address(_ place: fi_addr_t) -> EndpointAddress? {
    place < UInt64(entries.count) ? entries[Int(place)] : nil
  }

  func operationPosted(to place: fi_addr_t) { inFlight[place, default: 0] += 1 }

  func operationEnded(to place: fi_addr_t) {
    let left = (inFlight[place] ?? 1) - 1
    inFlight[place] = left == 0 ? nil : left
  }

  /// The address's number: the same one if it is in already; FI_ADDR_NOTAVAIL if it cannot be one.
  private func insert(_ address: EndpointAddress) -> fi_addr_t {
    guard !address.isBlank else { return cfabric_addr_unspec }
    if let place = places[address] { return fi_addr_t(place) }
    entries.append(address)
    places[address] = entries.count - 1
    return fi_addr_t(entries.count - 1)
  }

  private func remove(_ place: fi_addr_t, _ state: inout Network.State) -> Int32 {
    guard let address = address(place) else { return -FI_EINVAL }
    if let count = inFlight[place] {
      state.violate("address removed with \(count) operations to it in flight")
    }
    entries[Int(place)] = nil
    places[address] = nil
    return 0
  }

  func fid(_ context: UnsafeMutableRawPointer?) -> fid_av {
    fid_av(fid: CFabric.fid(fclass: Int(FI_CLASS_AV), context: context, ops: Self.common), ops: Self.table)
  }

  nonisolated(unsafe) private static let common = makeCommonTable { $0.close = { closeObject($0) } }

  nonisolated(unsafe) private static let table = makeTable(
    fi_ops_av(
      size: MemoryLayout<fi_ops_av>.size, insert: refusal(), insertsvc: refusal(), insertsym: refusal(),
      remove: refusal(), lookup: refusal(), straddr: { _, _, _, _ in nil }, av_set: refusal())
  ) { table in
    table.insert = { vector, addresses, count, result, _, _ in
      call(vector, as: SimulatedAddressVector.self, closed: -FI_EINVAL) { vector, _ in
        guard let addresses else { return -FI_EINVAL }
        var inserted: Int32 = 0
        for index in 0..<count {
          let place = vector.insert(EndpointAddress(addresses + index * EndpointAddress.size))
          if place != cfabric_addr_unspec { inserted += 1 }
          result?[index] = place
        }
        return inserted
      }
    }
    table.remove = { vector, places, count, _ in
      call(vector, as: SimulatedAddressVector.self, closed: -FI_EINVAL) { vector, state in
        guard let places else { return -FI_EINVAL }
        for index in 0..<count {
          let result = vector.remove(places[index], &state)
          guard result == 0 else { return result }
        }
        return 0
      }
    }
    table.lookup = { vector, place, destination, size in
      call(vector, as: SimulatedAddressVector.self, closed: -FI_EINVAL) { vector, _ in
        guard let address = vector.address(place), let size else { return -FI_EINVAL }
        let capacity = size.pointee
        size.pointee = EndpointAddress.size
        _ = address.write(to: destination, capacity: capacity)
        return 0
      }
    }
  }
}
