import TestSupport
import Testing
import TransferEngine

/// Everything that needs processes and NICs, one test at a time: two cores have to do.
@Suite(.serialized)
enum EngineTests {
  /// Says in the report that the suites run without the EFA's name, many NICs and virtual addresses.
  @Suite
  struct FakeEFA {
    @Test(.enabled(if: TestFabric.fakeNICs > 0, Comment(rawValue: TestFabric.fakeEFAAdvice)))
    func isAmongTheFabrics() throws {
      let near = try Near(.fakeEFA, bufferLength: 4096)
      #expect(near.engine.nics.count == TestFabric.fakeNICs)
      #expect(near.engine.nics.allSatisfy { $0.provider == "efa" && $0.name.hasPrefix("rdmap") })
    }
  }
}
