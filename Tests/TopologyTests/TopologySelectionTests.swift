import Testing
import Topology

@Suite("NICs are listed and chosen in the same order in every process")
struct TopologySelectionTests {
  let topology = Topology(entries: [
    "cuda:0": .init(preferred: ["d"], others: ["a"]),
    "cpu:1": .init(preferred: ["b"], others: ["c", "a"]),
    "cpu:0": .init(preferred: ["c"], others: ["b"]),
    "cpu:2": .init(preferred: [], others: ["b", "e"]),
    "cpu:3": .init(preferred: [], others: []),
  ])

  @Test func deviceListIsInOrderOfFirstAppearance() {
    #expect(topology.devices == ["c", "b", "a", "e", "d"])
  }

  @Test func preferredOfALocation() {
    #expect(topology.preferred(for: "cuda:0") == ["d"])
    #expect(topology.preferred(for: "cpu:2") == ["b", "e"], "without a preferred NIC the others serve")
    #expect(topology.preferred(for: "cpu:3") == topology.devices)
    #expect(topology.preferred(for: "cuda:9") == topology.devices)
    #expect(topology.preferred(for: "*") == topology.devices)
    #expect(topology.candidates(for: "cpu:1") == ["b", "c", "a"])
    #expect(topology.candidates(for: "hip:1") == topology.devices)
  }

  @Test func anExplicitStarIsTheFallback() {
    var entries = topology.entries
    entries["*"] = .init(preferred: ["e"], others: ["a"])
    let topology = Topology(entries: entries)
    #expect(topology.preferred(for: "cuda:9") == ["e"])
    #expect(topology.candidates(for: "cuda:9") == ["e", "a"])
    #expect(topology.preferred(for: "cuda:0") == ["d"])
  }

  @Test func disablingKeepsTheOthers() {
    var changed = topology
    changed.disable(device: "c")
    #expect(changed.devices == ["b", "a", "e", "d"])
    #expect(changed.entries["cpu:1"] == .init(preferred: ["b"], others: ["a"]))
    #expect(changed.preferred(for: "cpu:0") == ["b"], "its only preferred NIC is gone, the others serve")
    changed.disable(device: "absent")
    #expect(changed.devices == ["b", "a", "e", "d"])
    for device in changed.devices { changed.disable(device: device) }
    #expect(changed.devices.isEmpty)
    #expect(changed.entries.count == topology.entries.count)
  }

  @Test func localRegistrationUsesPreferredNICsOnly() {
    #expect(topology.registrationNICs(for: "cuda:0", among: ["a", "d"]) == [1])
    #expect(topology.registrationNICs(for: "cuda:0", among: ["a"]) == nil, "a missing NIC is skipped, none is left")
    #expect(topology.registrationNICs(for: "cuda:1", among: ["a", "d"]) == nil)
    #expect(topology.registrationNICs(for: "cpu:0", among: ["c"]) == nil, "host memory goes on all NICs")
  }

  @Test func table() {
    #expect(
      Topology(entries: ["cpu:0": .init(preferred: ["a", "b"], others: []), "*": .init(preferred: [], others: ["c"])])
        .table() == """
          location  preferred  others
          --------  ---------  ------
          *         -          c
          cpu:0     a b        -

          """)
  }
}
