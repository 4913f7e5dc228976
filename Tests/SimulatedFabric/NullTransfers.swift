import CFabric

/// An endpoint of a null fabric: a post pushes its context.
struct NullEndpoint {
  // Callers know the place of this field, so it stays the first.
  private var endpoint: fid_ep
  var ring: NullRing.Pointer?
  private var number: Int

  @inline(__always)
  static func at(_ fid: UnsafeMutableRawPointer) -> UnsafeMutablePointer<NullEndpoint> {
    fid.assumingMemoryBound(to: NullEndpoint.self)
  }

  static func open(
    _ number: Int, _ result: UnsafeMutablePointer<UnsafeMutablePointer<fid_ep>?>?, _ context: UnsafeMutableRawPointer?
  ) -> Int32 {
    assert(MemoryLayout.offset(of: \NullEndpoint.endpoint) == 0)
    let place = NullObjects.open(
      NullEndpoint(
        endpoint: fid_ep(
          fid: fid(fclass: Int(FI_CLASS_EP), context: context, ops: NullObjects.common), ops: optionTable,
          cm: nameTable, msg: nil, rma: transferTable, tagged: nil, atomic: nil, collective: nil),
        ring: nil, number: number))
    result?.pointee = UnsafeMutableRawPointer(place).assumingMemoryBound(to: fid_ep.self)
    return 0
  }

  @inline(__always)
  private static func push(_ endpoint: UnsafeMutablePointer<fid_ep>?, _ context: UnsafeMutableRawPointer?) -> Int {
    NullRing.push(at(UnsafeMutableRawPointer(endpoint.unsafelyUnwrapped)).pointee.ring.unsafelyUnwrapped, context)
    return 0
  }

  nonisolated(unsafe) private static let transferTable = makeTable(
    fi_ops_rma(
      size: MemoryLayout<fi_ops_rma>.size,
      read: { endpoint, _, _, _, _, _, _, context in push(endpoint, context) },
      readv: { endpoint, _, _, _, _, _, _, context in push(endpoint, context) },
      readmsg: { endpoint, message, _ in push(endpoint, message.unsafelyUnwrapped.pointee.context) },
      write: { endpoint, _, _, _, _, _, _, context in push(endpoint, context) },
      writev: { endpoint, _, _, _, _, _, _, context in push(endpoint, context) },
      writemsg: { endpoint, message, _ in push(endpoint, message.unsafelyUnwrapped.pointee.context) },
      inject: { _, _, _, _, _, _ in 0 }, writedata: refusal(), injectdata: refusal())
  ) { _ in }

  nonisolated(unsafe) private static let nameTable = makeTable(
    fi_ops_cm(
      size: MemoryLayout<fi_ops_cm>.size, setname: refusal(),
      getname: { endpoint, destination, size in
        guard let endpoint, let size else { return -FI_EINVAL }
        let capacity = size.pointee
        size.pointee = EndpointAddress.size
        let address = EndpointAddress(network: 0, nic: 0, endpoint: at(endpoint).pointee.number)
        return address.write(to: destination, capacity: capacity) ? 0 : -Int32(FI_ETOOSMALL)
      }, getpeer: refusal(), connect: refusal(), listen: refusal(), accept: refusal(), reject: refusal(),
      shutdown: refusal(), join: refusal())
  ) { _ in }

  nonisolated(unsafe) static let optionTable = makeTable(
    fi_ops_ep(
      size: MemoryLayout<fi_ops_ep>.size, cancel: refusal(), getopt: { _, _, _, _, _ in -FI_ENOPROTOOPT },
      setopt: { _, _, _, _, _ in -FI_ENOPROTOOPT }, tx_ctx: refusal(), rx_ctx: refusal(), rx_size_left: refusal(),
      tx_size_left: refusal())
  ) { _ in }
}

/// A completion queue of a null fabric: a poll pops what was pushed.
struct NullQueue {
  // Callers know the place of this field, so it stays the first.
  private var queue: fid_cq
  private(set) var ring: NullRing.Pointer

  @inline(__always)
  static func at(_ fid: UnsafeMutableRawPointer) -> UnsafeMutablePointer<NullQueue> {
    fid.assumingMemoryBound(to: NullQueue.self)
  }

  static func open(
    _ format: fi_cq_format, _ result: UnsafeMutablePointer<UnsafeMutablePointer<fid_cq>?>?,
    _ context: UnsafeMutableRawPointer?
  ) -> Int32 {
    let table: UnsafeMutablePointer<fi_ops_cq>
    switch format {
    case FI_CQ_FORMAT_UNSPEC, FI_CQ_FORMAT_CONTEXT: table = contextTable
    case FI_CQ_FORMAT_DATA: table = dataTable
    default: return -FI_ENOSYS
    }
    assert(MemoryLayout.offset(of: \NullQueue.queue) == 0)
    let place = NullObjects.open(
      NullQueue(
        queue: fid_cq(
          fid: fid(fclass: Int(FI_CLASS_CQ), context: context, ops: closingTable), ops: table),
        ring: NullRing.make()))
    result?.pointee = UnsafeMutableRawPointer(place).assumingMemoryBound(to: fid_cq.self)
    return 0
  }

  nonisolated(unsafe) private static let closingTable = makeCommonTable { table in
    table.close = { queue in
      guard let queue else { return -FI_EINVAL }
      at(queue).pointee.ring.deallocate()
      queue.deallocate()
      return 0
    }
  }

  @inline(__always)
  private static func pop(
    _ queue: UnsafeMutablePointer<fid_cq>?, _ count: Int, _ body: (Int, UnsafeMutableRawPointer?) -> Void
  ) -> Int {
    let ring = at(UnsafeMutableRawPointer(queue.unsafelyUnwrapped)).pointee.ring
    let taken = NullRing.pop(ring, count, body)
    return taken == 0 ? Int(-FI_EAGAIN) : taken
  }

  private static func makeQueueTable(
    _ read:
      @escaping @convention(c) (UnsafeMutablePointer<fid_cq>?, UnsafeMutableRawPointer?, Int) -> Int
  ) -> UnsafeMutablePointer<fi_ops_cq> {
    makeTable(
      fi_ops_cq(
        size: MemoryLayout<fi_ops_cq>.size, read: read, readfrom: refusal(),
        readerr: { _, _, _ in Int(-FI_EAGAIN) }, sread: refusal(), sreadfrom: refusal(), signal: refusal(),
        strerror: { _, number, _, _, _ in ProviderError.text(number) })
    ) { _ in }
  }

  nonisolated(unsafe) private static let contextTable = makeQueueTable { queue, buffer, count in
    pop(queue, count) { index, context in
      buffer.unsafelyUnwrapped.assumingMemoryBound(to: fi_cq_entry.self)[index].op_context = context
    }
  }

  nonisolated(unsafe) private static let dataTable = makeQueueTable { queue, buffer, count in
    pop(queue, count) { index, context in
      let entry = buffer.unsafelyUnwrapped.assumingMemoryBound(to: fi_cq_data_entry.self) + index
      entry.pointee.op_context = context
      entry.pointee.flags = FI_RMA | FI_WRITE
    }
  }
}
