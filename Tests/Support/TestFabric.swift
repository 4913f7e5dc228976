internal import Foundation

/// A fabric that the engine's tests run on.
public struct TestFabric: Sendable, CustomStringConvertible {
  /// libfabric's name of the provider.
  public let provider: String
  /// What to call it in a test's report.
  public let description: String

  /// Whether the test-only provider that calls itself `efa` is set up for this process.
  public static var hasFakeEFA: Bool {
    ProcessInfo.processInfo.environment["FI_PROVIDER_PATH"] != nil
      && ProcessInfo.processInfo.environment["FAKE_EFA_NICS"] != nil
  }

  /// The fabrics that this host has: software providers of the distribution's libfabric, and the fake EFA provider
  /// where `scripts/test.sh` has built it.
  public static var all: [TestFabric] {
    var list = ["tcp;ofi_rxm", "shm", "sockets"].map { TestFabric(provider: $0, description: $0) }
    if hasFakeEFA {
      let nics = ProcessInfo.processInfo.environment["FAKE_EFA_NICS"] ?? ""
      list.append(TestFabric(provider: "efa", description: "efa (fake, \(nics) NICs)"))
    }
    return list
  }
}
