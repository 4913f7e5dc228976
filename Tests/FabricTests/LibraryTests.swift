import CFabric
import Fabric
import Glibc
import SimulatedFabric
import Testing

/// The host's own libfabric. Its tests run one at a time: loading is a matter of the whole process.
@Suite(.serialized) struct LibraryTests {
  /// A file that is not there is an error that names it, but only as long as no copy is mapped: so in a child of its own.
  @Test func aPathThatLeadsNowhereIsNamed() async throws {
    await #expect(processExitsWith: .success) {
      do {
        _ = try FabricLibrary.load(explicitPath: "/nowhere/libfabric.so.1")
        exit(1)
      } catch {
        let text = "\(error)"
        guard text.contains("/nowhere/libfabric.so.1"), text.contains("MOONRAIL_LIBFABRIC") else { exit(2) }
        // Nothing else was tried.
        guard !text.contains("/opt/amazon") else { exit(3) }
        exit(0)
      }
    }
  }

  @Test func aCopyThatIsMappedIsTheOneThatIsUsed() async throws {
    await #expect(processExitsWith: .success) {
      guard let first = try? FabricLibrary.load(), first.origin == .loaded else { exit(1) }
      // Even if another one is named: two copies in a process take the device from each other.
      guard let second = try? FabricLibrary.load(explicitPath: "/nowhere/libfabric.so.1") else { exit(2) }
      guard second.origin == .alreadyMapped, second.summary.contains("already mapped") else { exit(3) }
      guard second.version == first.version, second.path == first.path else { exit(4) }
      exit(0)
    }
  }

  @Test func theVersionAskedForIsOneThatTheLibraryHas() throws {
    let library = try FabricLibrary.load()
    #expect(library.version.major == 1)
    #expect(library.requestedVersion <= cfabric_version(1, 18))
    #expect(library.requestedVersion <= library.functions.version())
    #expect(library.summary.contains("libfabric 1.\(library.version.minor)"))
    #expect(library.text(FI_ENODATA).contains("data") && !library.text(-1).isEmpty)
  }

  @Test(arguments: ["tcp;ofi_rxm", "shm", "sockets"])
  func softwareProvidersOfferWhatATransferNeeds(provider: String) throws {
    let offers = try ProviderQuery(provider: provider).offers(try FabricLibrary.load())
    #expect(!offers.isEmpty && Set(offers.map(\.device)).count == offers.count)
    for offer in offers {
      #expect(offer.provider == provider && !offer.domain.isEmpty && offer.device == offer.domain)
      #expect(offer.transmitDepth > 0 && offer.maximumMessageSize >= 1 << 20 && offer.injectSize >= 0)
    }
    // The socket providers name interfaces; the loopback one is always there.
    if provider != "shm" { #expect(offers.contains { $0.device == "lo" }) }
    // An offer can be opened, and opened again after.
    for _ in 0..<2 {
      let endpoint = try Endpoint(try Domain(try #require(offers.last)), completionQueueSize: 64, addressCount: 16)
      #expect(!endpoint.address.isEmpty && endpoint.completions.size >= 1)
    }
  }

  @Test func aProviderThatIsNotThereHasNoData() throws {
    let library = try FabricLibrary.load()
    let error = #expect(throws: FabricError.self) { try ProviderQuery(provider: "moonshine").offers(library) }
    #expect(error?.isNoData == true && error?.call == "fi_getinfo")
  }
}
