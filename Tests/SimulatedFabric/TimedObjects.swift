import CFabric

/// What stands behind a `fid` of a timed fabric: its network, its NIC, and for queues and endpoints what is in flight.
final class TimedObject {
  let network: TimedNetwork
  let nic: Int
  /// Part of an endpoint's address.
  let number = NullObjects.nextNumber()
  /// Of an endpoint, that of the completion queue it is bound to.
  var line: TimedLine?

  private init(_ network: TimedNetwork, nic: Int, line: TimedLine?) {
    self.network = network
    self.nic = nic
    self.line = line
  }

  /// The object stands right in front of its `fid`.
  private static let header = 16

  static func open<Fid>(
    _ fid: Fid, _ network: TimedNetwork, nic: Int, line: TimedLine? = nil
  ) -> UnsafeMutablePointer<Fid> {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: header + MemoryLayout<Fid>.size, alignment: 16)
    let object = TimedObject(network, nic: nic, line: line)
    memory.storeBytes(of: Unmanaged.passRetained(object).toOpaque(), as: UnsafeMutableRawPointer.self)
    let place = (memory + header).bindMemory(to: Fid.self, capacity: 1)
    place.initialize(to: fid)
    return place
  }

  static func behind(_ fid: UnsafeMutableRawPointer) -> TimedObject {
    reference(fid).takeUnretainedValue()
  }

  private static func reference(_ fid: UnsafeMutableRawPointer) -> Unmanaged<TimedObject> {
    Unmanaged.fromOpaque((fid - header).load(as: UnsafeMutableRawPointer.self))
  }

  nonisolated(unsafe) static let common = makeCommonTable { table in
    table.close = { object in
      guard let object else { return -FI_EINVAL }
      let place = UnsafeMutableRawPointer(object)
      reference(place).release()
      (place - header).deallocate()
      return 0
    }
    table.bind = { object, other, _ in
      if let object, let other, object.pointee.fclass == Int(FI_CLASS_EP), other.pointee.fclass == Int(FI_CLASS_CQ) {
        behind(object).line = behind(other).line
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
    table.domain = { fabric, info, result, context in
      guard let fabric, let name = info?.pointee.domain_attr?.pointee.name else { return -FI_EINVAL }
      let network = behind(fabric).network
      let wanted = String(cString: name)
      guard let nic = (0..<network.options.nicCount).first(where: { network.options.domainName($0) == wanted }) else {
        return -FI_ENODATA
      }
      result?.pointee = open(
        fid_domain(
          fid: fid(fclass: Int(FI_CLASS_DOMAIN), context: context, ops: common), ops: domainTable,
          mr: NullObjects.registrationTable), network, nic: nic)
      return 0
    }
    table.eq_open = { _, _, result, context in
      result?.pointee = NullObjects.open(
        fid_eq(
          fid: fid(fclass: Int(FI_CLASS_EQ), context: context, ops: NullObjects.common), ops: NullObjects.eventTable)
      )
      return 0
    }
  }

  nonisolated(unsafe) private static let domainTable = makeTable(
    fi_ops_domain(
      size: MemoryLayout<fi_ops_domain>.size, av_open: refusal(), cq_open: refusal(), endpoint: refusal(),
      scalable_ep: refusal(), cntr_open: refusal(), poll_open: refusal(), stx_ctx: refusal(), srx_ctx: refusal(),
      query_atomic: refusal(), query_collective: refusal(), endpoint2: refusal())
  ) { table in
    table.av_open = { _, _, result, context in
      result?.pointee = NullObjects.open(
        fid_av(
          fid: fid(fclass: Int(FI_CLASS_AV), context: context, ops: NullObjects.common), ops: NullObjects.addressTable))
      return 0
    }
    table.cq_open = { domain, attributes, result, context in
      guard let domain else { return -FI_EINVAL }
      let owner = behind(domain)
      let limit = owner.network.options.completionQueueSize
      let wanted = attributes?.pointee.size ?? 0
      attributes?.pointee.size = wanted == 0 ? limit : min(wanted, limit)
      guard [FI_CQ_FORMAT_UNSPEC, FI_CQ_FORMAT_CONTEXT].contains(attributes?.pointee.format) else {
        return -FI_ENOSYS
      }
      result?.pointee = open(
        fid_cq(fid: fid(fclass: Int(FI_CLASS_CQ), context: context, ops: common), ops: TimedLine.queueTable),
        owner.network, nic: owner.nic, line: TimedLine())
      return 0
    }
    table.endpoint = { domain, _, result, context in
      guard let domain else { return -FI_EINVAL }
      let owner = behind(domain)
      result?.pointee = open(
        fid_ep(
          fid: fid(fclass: Int(FI_CLASS_EP), context: context, ops: common), ops: NullEndpoint.optionTable,
          cm: nameTable, msg: nil, rma: TimedLine.transferTable, tagged: nil, atomic: nil, collective: nil),
        owner.network, nic: owner.nic)
      return 0
    }
  }

  nonisolated(unsafe) private static let nameTable = makeTable(
    fi_ops_cm(
      size: MemoryLayout<fi_ops_cm>.size, setname: refusal(),
      getname: { endpoint, destination, size in
        guard let endpoint, let size else { return -FI_EINVAL }
        let capacity = size.pointee
        size.pointee = EndpointAddress.size
        let object = behind(endpoint)
        let address = EndpointAddress(network: 0, nic: object.nic, endpoint: object.number)
        return address.write(to: destination, capacity: capacity) ? 0 : -Int32(FI_ETOOSMALL)
      }, getpeer: refusal(), connect: refusal(), listen: refusal(), accept: refusal(), reject: refusal(),
      shutdown: refusal(), join: refusal())
  ) { _ in }
}

/// What is in flight on one NIC of one engine. An operation completes after those that were posted before it: there is
/// one wire.
final class TimedLine {
  private var operations: [(context: UnsafeMutableRawPointer?, ready: UInt64)] = []
  private var first = 0

  private var next: UInt64? { first < operations.count ? operations[first].ready : nil }

  private static func post(
    _ endpoint: UnsafeMutableRawPointer?, _ bytes: Int, _ context: UnsafeMutableRawPointer?
  ) -> Int {
    guard let endpoint else { return Int(-FI_EINVAL) }
    let object = TimedObject.behind(endpoint)
    guard let line = object.line else { return -Int(FI_EOPBADSTATE) }
    line.operations.append((context, object.network.timekeeper.posted(bytes: bytes, on: object.nic)))
    return 0
  }

  nonisolated(unsafe) static let transferTable = makeTable(
    fi_ops_rma(
      size: MemoryLayout<fi_ops_rma>.size, read: refusal(), readv: refusal(), readmsg: refusal(), write: refusal(),
      writev: refusal(), writemsg: refusal(), inject: refusal(), writedata: refusal(), injectdata: refusal())
  ) { table in
    table.read = { endpoint, _, count, _, _, _, _, context in post(endpoint, count, context) }
    table.write = { endpoint, _, count, _, _, _, _, context in post(endpoint, count, context) }
    table.readmsg = { endpoint, message, _ in post(endpoint, message) }
    table.writemsg = { endpoint, message, _ in post(endpoint, message) }
  }

  private static func post(
    _ endpoint: UnsafeMutableRawPointer?, _ message: UnsafePointer<fi_msg_rma>?
  ) -> Int {
    guard let message = message?.pointee else { return Int(-FI_EINVAL) }
    let bytes = (0..<message.iov_count).reduce(0) { $0 + (message.msg_iov?[$1].iov_len ?? 0) }
    return post(endpoint, bytes, message.context)
  }

  nonisolated(unsafe) static let queueTable = makeTable(
    fi_ops_cq(
      size: MemoryLayout<fi_ops_cq>.size, read: refusal(), readfrom: refusal(),
      readerr: { _, _, _ in Int(-FI_EAGAIN) }, sread: refusal(), sreadfrom: refusal(), signal: refusal(),
      strerror: { _, number, _, _, _ in ProviderError.text(number) })
  ) { table in
    table.read = { queue, buffer, count in
      guard let queue, let buffer else { return Int(-FI_EINVAL) }
      let object = TimedObject.behind(queue)
      guard let line = object.line else { return Int(-FI_EINVAL) }
      let now = object.network.timekeeper.looked(at: object.nic)
      var taken = 0
      while taken < count, let ready = line.next, ready <= now {
        buffer.assumingMemoryBound(to: fi_cq_entry.self)[taken].op_context = line.operations[line.first].context
        line.first += 1
        taken += 1
      }
      if line.first == line.operations.count || line.first > 4096 {
        line.operations.removeSubrange(..<line.first)
        line.first = 0
      }
      object.network.timekeeper.read(
        completions: taken, of: object.nic, remaining: line.operations.count - line.first, next: line.next)
      return taken == 0 ? Int(-FI_EAGAIN) : taken
    }
  }
}
