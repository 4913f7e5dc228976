import CFabric
import Glibc

/// A registered memory region.
final class SimulatedRegion: SimulatedObject, @unchecked Sendable {
  private let home: SimulatedDomain
  private let start: UInt
  private let length: Int
  private let access: UInt64
  private let key: UInt64
  /// The operations in flight whose local buffer is in it.
  var operations = 0

  init(_ domain: SimulatedDomain, start: UInt, length: Int, access: UInt64, key: UInt64) {
    home = domain
    self.start = start
    self.length = length
    self.access = access
    self.key = key
    super.init(.memoryRegion, domain.network)
    rest(on: domain)
    domain.regions[key] = self
  }

  override var domain: SimulatedDomain? { home }

  override var obstacle: String? {
    operations == 0 ? nil : "with \(operations) operations from or to it in flight"
  }

  override func closed(_ state: inout Network.State) {
    home.regions[key] = nil
  }

  /// The memory that an address given by a remote peer means; nil if it may not.
  func memory(at address: UInt64, count: Int, access needed: UInt64) -> UnsafeMutableRawPointer? {
    let isVirtual = home.registrationMode & FI_MR_VIRT_ADDR != 0
    let (offset, isBelow) = isVirtual ? address.subtractingReportingOverflow(UInt64(start)) : (address, false)
    guard access & needed == needed, !isBelow, offset <= UInt64(length), UInt64(count) <= UInt64(length) - offset else {
      return nil
    }
    return UnsafeMutableRawPointer(bitPattern: start + UInt(offset))
  }

  /// Whether a local buffer is in it, registered for this access.
  func covers(_ segment: Segment, access needed: UInt64) -> Bool {
    let address = UInt(bitPattern: segment.start)
    return access & needed == needed && address >= start && address - start <= UInt(length)
      && UInt(segment.count) <= UInt(length) - (address - start)
  }

  private func fid(_ context: UnsafeMutableRawPointer?) -> fid_mr {
    fid_mr(
      fid: CFabric.fid(fclass: Int(FI_CLASS_MR), context: context, ops: Self.common), mem_desc: nil, key: key)
  }

  nonisolated(unsafe) private static let common = makeCommonTable { $0.close = { closeObject($0) } }

  /// What a domain registers memory with.
  nonisolated(unsafe) static let registrationTable = makeTable(
    fi_ops_mr(size: MemoryLayout<fi_ops_mr>.size, reg: refusal(), regv: refusal(), regattr: refusal())
  ) { table in
    table.reg = { domain, buffer, length, access, _, key, _, result, context in
      var segment = iovec(iov_base: UnsafeMutableRawPointer(mutating: buffer), iov_len: length)
      return register(domain, &segment, 1, access, key, result, context)
    }
    table.regv = { domain, segments, count, access, _, key, _, result, context in
      register(domain, segments, count, access, key, result, context)
    }
    table.regattr = { domain, attributes, _, result in
      guard let attributes = attributes?.pointee else { return -FI_EINVAL }
      return register(
        domain, attributes.mr_iov, attributes.iov_count, attributes.access, attributes.requested_key, result,
        attributes.context, gpu: attributes.iface == FI_HMEM_CUDA ? Int(attributes.device.cuda) : nil)
    }
  }

  private static func register(
    _ domain: UnsafeMutableRawPointer?, _ segments: UnsafePointer<iovec>?, _ count: Int, _ access: UInt64,
    _ requestedKey: UInt64, _ result: UnsafeMutablePointer<UnsafeMutablePointer<fid_mr>?>?,
    _ context: UnsafeMutableRawPointer?, gpu: Int? = nil
  ) -> Int32 {
    call(domain, as: SimulatedDomain.self, closed: -FI_EINVAL) { domain, state in
      guard gpu == nil || domain.registrationMode & FI_MR_HMEM != 0 else { return -FI_EINVAL }
      guard let segment = segments?.pointee, count == 1, let base = segment.iov_base, segment.iov_len > 0,
        segment.iov_len <= domain.network.options.maximumRegistrationSize
      else { return -FI_EINVAL }
      if state.faults.refusedRegistrations > 0 {
        state.faults.refusedRegistrations -= 1
        return -FI_ENOMEM
      }
      var key = requestedKey
      if domain.registrationMode & FI_MR_PROV_KEY != 0 {
        key = state.nextKey
        state.nextKey &+= 1
      }
      guard domain.regions[key] == nil else { return -Int32(FI_ENOKEY) }
      let region = SimulatedRegion(
        domain, start: UInt(bitPattern: base), length: segment.iov_len, access: access, key: key)
      let place = Handle.make(region.fid(context), for: region, &state)
      place.pointee.mem_desc = UnsafeMutableRawPointer(place)
      state.counters.registrations += 1
      if let gpu { state.counters.registeredGPUs.append(gpu) }
      result?.pointee = place
      return 0
    }
  }
}
