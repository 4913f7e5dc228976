import CFabric
import Synchronization

/// The objects of a null fabric, apart from those that operations pass through.
enum NullObjects {
  private static let numbers = Atomic<Int>(0)

  /// The next of the numbers that tell endpoints and regions apart.
  static func nextNumber() -> Int { numbers.wrappingAdd(1, ordering: .relaxed).newValue }

  static func open<Fid>(_ fid: Fid) -> UnsafeMutablePointer<Fid> {
    let place = UnsafeMutablePointer<Fid>.allocate(capacity: 1)
    place.initialize(to: fid)
    return place
  }

  /// Whatever is bound or enabled is so already; an endpoint takes over the ring of its completion queue.
  nonisolated(unsafe) static let common = makeCommonTable { table in
    table.close = { object in
      object?.deallocate()
      return 0
    }
    table.bind = { object, other, _ in
      if let object, let other, object.pointee.fclass == Int(FI_CLASS_EP), other.pointee.fclass == Int(FI_CLASS_CQ) {
        NullEndpoint.at(object).pointee.ring = NullQueue.at(other).pointee.ring
      }
      return 0
    }
    table.control = { _, _, _ in 0 }
  }

  nonisolated(unsafe) static let fabricTable = makeTable(
    fi_ops_fabric(
      size: MemoryLayout<fi_ops_fabric>.size, domain: refusal(), passive_ep: refusal(), eq_open: refusal(),
      wait_open: refusal(), trywait: refusal(), domain2: refusal())
  ) { table in
    table.domain = { _, _, result, context in
      result?.pointee = open(
        fid_domain(
          fid: fid(fclass: Int(FI_CLASS_DOMAIN), context: context, ops: common), ops: domainTable,
          mr: registrationTable))
      return 0
    }
    table.eq_open = { _, _, result, context in
      result?.pointee = open(
        fid_eq(fid: fid(fclass: Int(FI_CLASS_EQ), context: context, ops: common), ops: eventTable))
      return 0
    }
  }

  nonisolated(unsafe) static let eventTable = makeTable(
    fi_ops_eq(
      size: MemoryLayout<fi_ops_eq>.size, read: { _, _, _, _, _ in Int(-FI_EAGAIN) },
      readerr: { _, _, _ in Int(-FI_EAGAIN) }, write: refusal(), sread: refusal(),
      strerror: { _, number, _, _, _ in ProviderError.text(number) })
  ) { _ in }

  nonisolated(unsafe) private static let domainTable = makeTable(
    fi_ops_domain(
      size: MemoryLayout<fi_ops_domain>.size, av_open: refusal(), cq_open: refusal(), endpoint: refusal(),
      scalable_ep: refusal(), cntr_open: refusal(), poll_open: refusal(), stx_ctx: refusal(), srx_ctx: refusal(),
      query_atomic: refusal(), query_collective: refusal(), endpoint2: refusal())
  ) { table in
    table.av_open = { _, _, result, context in
      result?.pointee = open(
        fid_av(fid: fid(fclass: Int(FI_CLASS_AV), context: context, ops: common), ops: addressTable))
      return 0
    }
    table.cq_open = { _, attributes, result, context in
      let wanted = attributes?.pointee.size ?? 0
      attributes?.pointee.size = wanted == 0 ? NullRing.capacity : min(wanted, NullRing.capacity)
      return NullQueue.open(attributes?.pointee.format ?? FI_CQ_FORMAT_CONTEXT, result, context)
    }
    table.endpoint = { _, _, result, context in NullEndpoint.open(nextNumber(), result, context) }
  }

  nonisolated(unsafe) static let registrationTable = makeTable(
    fi_ops_mr(
      size: MemoryLayout<fi_ops_mr>.size,
      reg: { _, _, _, _, _, _, _, result, context in register(result, context) },
      regv: { _, _, _, _, _, _, _, result, context in register(result, context) },
      regattr: { _, attributes, _, result in register(result, attributes?.pointee.context) })
  ) { _ in }

  private static func register(
    _ result: UnsafeMutablePointer<UnsafeMutablePointer<fid_mr>?>?, _ context: UnsafeMutableRawPointer?
  ) -> Int32 {
    let region = open(
      fid_mr(
        fid: fid(fclass: Int(FI_CLASS_MR), context: context, ops: common), mem_desc: nil, key: UInt64(nextNumber())))
    region.pointee.mem_desc = UnsafeMutableRawPointer(region)
    result?.pointee = region
    return 0
  }

  nonisolated(unsafe) static let addressTable = makeTable(
    fi_ops_av(
      size: MemoryLayout<fi_ops_av>.size,
      insert: { _, _, count, result, _, _ in
        for index in 0..<count { result?[index] = 0 }
        return Int32(count)
      }, insertsvc: refusal(), insertsym: refusal(), remove: { _, _, _, _ in 0 }, lookup: refusal(),
      straddr: { _, _, _, _ in nil }, av_set: refusal())
  ) { _ in }
}
