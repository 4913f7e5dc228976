import Testing
import Topology

@Suite("The device filter takes exact names from both lists")
struct DeviceFilterTests {
  @Test func withoutNamesEverythingIsAccepted() {
    for filter in [DeviceFilter(), DeviceFilter(deviceNames: " , ,", environment: ["MC_TE_FILTERS": ""])] {
      #expect(filter.accepts("rdmap0s6"))
      #expect(filter.unmatched(against: []).isEmpty)
    }
  }

  @Test func bothListsCount() {
    let filter = DeviceFilter(deviceNames: " rdmap0,rdmap1 ", environment: ["MC_TE_FILTERS": "rdmap2 ,\trdmap0"])
    #expect(filter.names == ["rdmap0", "rdmap1", "rdmap2"])
    #expect(filter.accepts("rdmap2"))
    #expect(!filter.accepts("rdmap3"))
    #expect(!filter.accepts("rdmap"), "a part of a name is another name")
    #expect(!filter.accepts("rdmap10"))
    #expect(filter.unmatched(against: ["rdmap0", "rdmap3"]) == ["rdmap1", "rdmap2"])
  }
}
