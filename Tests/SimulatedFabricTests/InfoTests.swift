import CFabric
import Glibc
import SimulatedFabric
import Testing

@Suite struct InfoTests {
  /// The NICs that fit the hints, by domain name; the code if none does.
  private func names(_ options: SimulatedFabric.Options, _ hint: (inout fi_info) -> Void = { _ in }) -> [String] {
    let network = SimulatedFabric(options)
    let functions = network.functions
    guard let hints = functions.dupinfo(nil) else { return [] }
    defer { functions.freeinfo(hints) }
    hints.pointee.domain_attr.pointee.mr_mode = FI_MR_VIRT_ADDR | FI_MR_PROV_KEY
    hint(&hints.pointee)
    var list: UnsafeMutablePointer<fi_info>?
    guard functions.getinfo(cfabric_version(1, 17), nil, nil, 0, hints, &list) == 0 else { return [] }
    defer { functions.freeinfo(list) }
    var names: [String] = []
    var next = list
    while let info = next {
      // A copy of a copy is as good.
      let copy = functions.dupinfo(info)
      let second = functions.dupinfo(copy)
      functions.freeinfo(copy)
      if let name = second?.pointee.domain_attr.pointee.name { names.append(String(cString: name)) }
      #expect(second?.pointee.src_addrlen == 32)
      #expect((second?.pointee.nic != nil) == options.describesDevices)
      functions.freeinfo(second)
      next = info.pointee.next
    }
    return names
  }

  @Test func everyNICIsADomain() {
    var options = SimulatedFabric.Options()
    options.nicCount = 3
    #expect(names(options) == ["sim0", "sim1", "sim2"])
    options.providerName = "efa"
    options.describesDevices = true
    #expect(names(options) == ["rdmap0s0-rdm", "rdmap1s0-rdm", "rdmap2s0-rdm"])
  }

  @Test func hintsSelect() {
    var options = SimulatedFabric.Options()
    options.nicCount = 4
    #expect(names(options) { $0.domain_attr.pointee.name = strdup("sim2") } == ["sim2"])
    #expect(names(options) { $0.fabric_attr.pointee.prov_name = strdup("sim") }.count == 4)
    #expect(names(options) { $0.fabric_attr.pointee.prov_name = strdup("efa") } == [])
    #expect(names(options) { $0.tx_attr.pointee.size = 1 << 20 } == [])
    #expect(names(options) { $0.domain_attr.pointee.mr_mode = 0 } == [])
    #expect(names(options) { $0.caps = FI_RMA | FI_HMEM } == [])
    #expect(names(options) { $0.ep_attr.pointee.type = FI_EP_MSG } == [])
    options.contextSpace = true
    #expect(names(options) == [])
    #expect(names(options) { $0.mode = FI_CONTEXT2 }.count == 4)
  }

  @Test func whatIsNotImplementedSaysSo() throws {
    let network = SimulatedFabric()
    let host = try Host(network.functions)
    #expect(fi_send(host.endpoint, nil, 0, nil, 0, nil) == Int(-FI_ENOSYS))
    #expect(fi_shutdown(host.endpoint, 0) == -FI_ENOSYS)
    var size = 8
    var value: UInt64 = 0
    #expect(fi_getopt(&host.endpoint.pointee.fid, Int32(FI_OPT_ENDPOINT), 3, &value, &size) == -FI_ENOPROTOOPT)
  }

  @Test func endpointOptionsThatAreKnownAreKept() throws {
    var options = SimulatedFabric.Options()
    options.endpointOptions = [5: [1]]
    let network = SimulatedFabric(options)
    let host = try Host(network.functions)
    var value: UInt8 = 0
    var size = 1
    #expect(fi_getopt(&host.endpoint.pointee.fid, Int32(FI_OPT_ENDPOINT), 5, &value, &size) == 0)
    #expect(value == 1)
    value = 9
    #expect(fi_setopt(&host.endpoint.pointee.fid, Int32(FI_OPT_ENDPOINT), 5, &value, 1) == 0)
    #expect(network.counters().endpoints[0].options == [5: [9]])
  }
}
