import CFabric
import Glibc
import SimulatedFabric
import Testing

@Suite struct ViolationTests {
  @Test func moreInFlightThanTheDepth() throws {
    var options = SimulatedFabric.Options()
    options.transmitDepth = 2
    let network = SimulatedFabric(options)
    let host = try Host(network.functions)
    let place = host.insert(host.address)
    #expect((0..<3).map { _ in host.write(to: host, at: place) } == [0, 0, Int(-FI_EAGAIN)])
    #expect(network.counters().violations.map { $0.hasPrefix("credits exceeded") } == [true])
    #expect(host.poll().result == 2)
    #expect(host.write(to: host, at: place) == 0)
    #expect(network.counters().nics[0].maximumInFlight == 2)
  }

  @Test func moreUnreadThanTheCompletionQueueHolds() throws {
    var options = SimulatedFabric.Options()
    options.completionQueueSize = 4
    let network = SimulatedFabric(options)
    let host = try Host(network.functions)
    #expect(host.grantedQueueSize == 4)
    let place = host.insert(host.address)
    for _ in 0..<5 { #expect(host.write(to: host, at: place) == 0) }
    #expect(host.poll(1).result == 1)
    #expect(network.counters().violations.map { $0.contains("overrun") } == [true])
  }

  @Test func closingInTheWrongOrder() throws {
    let network = SimulatedFabric()
    let host = try Host(network.functions)
    #expect(fi_close(&host.vector.pointee.fid) == -FI_EBUSY)
    #expect(fi_close(&host.domain.pointee.fid) == -FI_EBUSY)
    #expect(
      network.counters().violations == [
        "address vector closed before 1 endpoint that need it", "domain closed before 1 address vector that need it",
      ])
    #expect(network.counters().openObjects["endpoint"] == 1)
    #expect(host.close() == Array(repeating: 0, count: 6))
    #expect(network.counters().openObjects == [:])
  }

  @Test func usingWhatIsClosed() throws {
    let network = SimulatedFabric()
    let host = try Host(network.functions)
    #expect(fi_close(&host.region.pointee.fid) == 0)
    #expect(fi_close(&host.region.pointee.fid) == -FI_EINVAL)
    #expect(network.counters().violations.count == 1)
  }

  @Test func closingARegionOrAnAddressWithOperationsInFlight() throws {
    let network = SimulatedFabric()
    let host = try Host(network.functions)
    var place = host.insert(host.address)
    #expect(host.write(to: host, at: place) == 0)
    #expect(fi_close(&host.region.pointee.fid) == -FI_EBUSY)
    #expect(fi_av_remove(host.vector, &place, 1, 0) == 0)
    #expect(network.counters().violations.count == 2)
    #expect(host.poll().result == 1)
    #expect(fi_close(&host.region.pointee.fid) == 0)
  }

  @Test func anErrorEntryThatIsNotZeroed() throws {
    let network = SimulatedFabric()
    let host = try Host(network.functions)
    network.updateFaults { $0.fail(next: 2) }
    let place = host.insert(host.address)
    for _ in 0..<2 { #expect(host.write(to: host, at: place) == 0) }
    #expect(host.poll().result == Int(-FI_EAVAIL))
    #expect(host.readError().result == 1)
    #expect(network.counters().violations == [])
    var entry = fi_cq_err_entry()
    entry.err_data_size = 16
    #expect(fi_cq_readerr(host.queue, &entry, 0) == 1)
    #expect(entry.err_data_size == 0)
    #expect(network.counters().violations.count == 1)
  }

  @Test func localBuffersWithoutADescriptor() throws {
    let network = SimulatedFabric()
    let host = try Host(network.functions)
    let place = host.insert(host.address)
    #expect(
      fi_write(host.endpoint, host.memory.baseAddress, 8, nil, place, host.start(), fi_mr_key(host.region), nil)
        == Int(-FI_EINVAL))
    var outside: UInt64 = 0
    #expect(
      fi_write(
        host.endpoint, &outside, 8, fi_mr_desc(host.region), place, host.start(), fi_mr_key(host.region), nil)
        == Int(-FI_EINVAL))
    #expect(network.counters().violations.count == 2)
  }

  @Test func writingToTheContextOfAnOperationInFlight() throws {
    var options = SimulatedFabric.Options()
    options.contextSpace = true
    let network = SimulatedFabric(options)
    let host = try Host(network.functions)
    let place = host.insert(host.address)
    let context = UnsafeMutableRawPointer.allocate(byteCount: MemoryLayout<fi_context2>.size, alignment: 16)
    defer { context.deallocate() }
    for isDisturbed in [false, true] {
      #expect(host.write(to: host, at: place, context: context) == 0)
      if isDisturbed { context.storeBytes(of: 1, as: UInt8.self) }
      #expect(host.poll().result == 1)
      #expect(network.counters().violations.count == (isDisturbed ? 1 : 0))
    }
  }

  @Test func twoThreadsInsideOneDomain() throws {
    let network = SimulatedFabric()
    let host = try Host(network.functions)
    nonisolated(unsafe) let queue = host.queue
    // A second thread polls until a violation is noticed, as this one does.
    let poll: @Sendable () -> Void = {
      for _ in 0..<1_000_000 {
        _ = fi_cq_read(queue, nil, 0)
        if !network.counters().violations.isEmpty { return }
      }
    }
    let other = Thread(poll)
    poll()
    other.join()
    #expect(network.counters().violations.first?.hasPrefix("two threads inside sim0") == true)
  }
}

/// A thread of its own, not one of the pool's.
private struct Thread {
  private var handle = pthread_t()

  init(_ body: @escaping @Sendable () -> Void) {
    final class Box {
      let body: @Sendable () -> Void
      init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
    let argument = Unmanaged.passRetained(Box(body)).toOpaque()
    pthread_create(
      &handle, nil,
      { argument in
        guard let argument else { return nil }
        Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().body()
        return nil
      }, argument)
  }

  func join() { pthread_join(handle, nil) }
}
