import CFabric
import Glibc
import SimulatedFabric
import Testing

@Suite struct TransferTests {
  @Test(arguments: [true, false]) func aWriteAndAReadMoveTheBytesWhenTheyComplete(virtualAddressing: Bool) throws {
    var options = SimulatedFabric.Options()
    options.virtualAddressing = virtualAddressing
    options.firstKey = 0
    let network = SimulatedFabric(options)
    let (a, b) = (try Host(network.functions), try Host(network.functions, nic: 1))
    let place = a.insert(b.address)
    let base = virtualAddressing ? b.start() : 0
    #expect(fi_mr_key(a.region) == 0)
    #expect(fi_mr_key(b.region) == 1)

    a.memory[0] = 42
    #expect(
      fi_write(
        a.endpoint, a.memory.baseAddress, 8, fi_mr_desc(a.region), place, base, fi_mr_key(b.region), contextOf(1))
        == 0)
    #expect(b.memory[0] == 0)
    #expect(a.poll().contexts == [1])
    #expect(b.memory[0] == 42)
    #expect(a.poll().result == Int(-FI_EAGAIN))

    b.memory[100] = 7
    #expect(
      fi_read(
        a.endpoint, a.memory.baseAddress, 8, fi_mr_desc(a.region), place, base + 100, fi_mr_key(b.region),
        contextOf(2)) == 0)
    #expect(a.poll().contexts == [2])
    #expect(a.memory[0] == 7)

    #expect(a.close() == Array(repeating: 0, count: 6))
    #expect(b.close() == Array(repeating: 0, count: 6))
    let counters = network.counters()
    #expect(counters.violations == [])
    #expect(counters.openObjects == [:])
    #expect(counters.nics[0].bytes == 16)
    #expect(counters.nics[0].completions == 2)
  }

  @Test func aMessageWithSeveralSegmentsAndAnInjectArrive() throws {
    let network = SimulatedFabric()
    let host = try Host(network.functions)
    let place = host.insert(host.address)
    host.memory[0] = 1
    host.memory[10] = 2
    var segments = [
      iovec(iov_base: host.memory.baseAddress, iov_len: 1),
      iovec(iov_base: host.memory.baseAddress.map { $0 + 10 }, iov_len: 1),
    ]
    var descriptors: [UnsafeMutableRawPointer?] = [fi_mr_desc(host.region), fi_mr_desc(host.region)]
    var remote = fi_rma_iov(addr: host.start(20), len: 2, key: fi_mr_key(host.region))
    let result = segments.withUnsafeMutableBufferPointer { segments in
      descriptors.withUnsafeMutableBufferPointer { descriptors in
        withUnsafePointer(to: &remote) { remote in
          var message = fi_msg_rma()
          message.msg_iov = UnsafePointer(segments.baseAddress)
          message.desc = descriptors.baseAddress
          message.iov_count = 2
          message.addr = place
          message.rma_iov = remote
          message.rma_iov_count = 1
          message.context = contextOf(5)
          return fi_writemsg(host.endpoint, &message, FI_MORE)
        }
      }
    }
    #expect(result == 0)
    #expect(host.poll().contexts == [5])
    #expect(Array(host.memory[20..<22]) == [1, 2])

    var value: UInt8 = 9
    #expect(fi_inject_write(host.endpoint, &value, 1, place, host.start(30), fi_mr_key(host.region)) == 0)
    value = 0
    #expect(host.poll().result == Int(-FI_EAGAIN))
    #expect(host.memory[30] == 9)
    #expect(network.counters().violations == [])
  }

  @Test func aKeyOrRangeThatDoesNotFitEndsInAnErrorEntry() throws {
    let network = SimulatedFabric()
    let (a, b) = (try Host(network.functions), try Host(network.functions))
    let place = a.insert(b.address)
    #expect(a.write(to: b, at: place, key: 12345, context: contextOf(3)) == 0)
    #expect(a.poll().result == Int(-FI_EAVAIL))
    #expect(a.poll().result == Int(-FI_EAVAIL))
    let (entry, result) = a.readError()
    #expect(result == 1)
    #expect(UInt(bitPattern: entry.op_context) == 3)
    #expect(entry.err == FI_EACCES)
    #expect(entry.prov_errno == 7)
    #expect(String(cString: fi_cq_strerror(a.queue, entry.prov_errno, nil, nil, 0)) == "Invalid remote memory address")
    #expect(a.poll().result == Int(-FI_EAGAIN))

    #expect(
      fi_write(
        a.endpoint, a.memory.baseAddress, 64, fi_mr_desc(a.region), place, b.start(4090), fi_mr_key(b.region), nil)
        == 0)
    #expect(a.poll().result == Int(-FI_EAVAIL))
    #expect(a.readError().entry.err == FI_EACCES)
    #expect(network.counters().nics[0].errors == 2)
  }

  @Test func accessThatWasNotGrantedIsRefused() throws {
    let network = SimulatedFabric()
    let a = try Host(network.functions)
    let b = try Host(network.functions, access: FI_REMOTE_READ)
    #expect(a.write(to: b, at: a.insert(b.address)) == 0)
    #expect(a.poll().result == Int(-FI_EAVAIL))
    #expect(a.readError().entry.prov_errno == 7)
  }

  @Test func networksDoNotReachEachOther() throws {
    let (one, other) = (SimulatedFabric(), SimulatedFabric())
    let (a, b) = (try Host(one.functions), try Host(other.functions))
    #expect(a.write(to: b, at: a.insert(b.address)) == 0)
    #expect(a.poll().result == Int(-FI_EAVAIL))
    #expect(a.readError().entry.prov_errno == 13)
    #expect(other.counters().nics[0].posts == 0)
  }

  @Test func theSameAddressGetsTheSameNumberAndABlankOneNone() throws {
    let network = SimulatedFabric()
    let (a, b) = (try Host(network.functions), try Host(network.functions))
    let place = a.insert(b.address)
    #expect(a.insert(b.address) == place)
    #expect(a.insert([UInt8](repeating: 0, count: 32)) == cfabric_addr_unspec)
    #expect(network.counters().endpoints.map(\.address) == [a.address, b.address])
    #expect(network.counters().endpoints.map(\.fabric) == [0, 1])
  }
}

/// A context that is only a number.
func contextOf(_ number: UInt) -> UnsafeMutableRawPointer? { UnsafeMutableRawPointer(bitPattern: number) }
