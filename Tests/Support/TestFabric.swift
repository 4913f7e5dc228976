internal import Foundation

/// A fabric that the engine's tests run on.
public struct TestFabric: Sendable, CustomStringConvertible {
  /// libfabric's name of the provider.
  public let provider: String
  /// What to call it in a test's report.
  public let description: String

  /// How many NICs the test-only provider that calls itself `efa` shows in this process; 0 where it is not set up.
  public static let fakeNICs: Int = {
    let environment = ProcessInfo.processInfo.environment
    guard environment["FI_PROVIDER_PATH"] != nil else { return 0 }
    return environment["FAKE_EFA_NICS"].flatMap { Int($0) } ?? 0
  }()

  /// What to do where ``fakeNICs`` is 0.
  public static let fakeEFAAdvice =
    "the fake EFA is not set up: run scripts/test.sh, or set FI_PROVIDER_PATH and FAKE_EFA_NICS as it does"

  /// The fabrics that this host has: software providers of the distribution's libfabric, and the fake EFA provider
  /// where `scripts/test.sh` has built it.
  ///
  /// `MOONRAIL_TEST_FABRICS` takes its pick of them: provider names, comma separated.
  public static let all: [TestFabric] = {
    let fabrics =
      ["tcp;ofi_rxm", "shm", "sockets"].map { TestFabric(provider: $0, description: $0) }
      + (fakeNICs > 0 ? [fakeEFA] : [])
    guard let wanted = ProcessInfo.processInfo.environment["MOONRAIL_TEST_FABRICS"] else { return fabrics }
    let names = wanted.split(separator: ",").map(String.init)
    return fabrics.filter { names.contains($0.provider) }
  }()

  /// Those of ``all`` that bear many operations at once. Not `sockets`: now and then that provider completes
  /// nothing any more when hundreds of operations are under way to a new peer (4 of 37 runs). The cause is not known; the
  /// others have not shown it.
  public static let sturdy = all.filter { $0.provider != "sockets" }

  /// Two fabrics that have nothing in common where there are so many: for what hardly depends on the fabric.
  public static let few: [TestFabric] = all.count > 2 ? [all[0], all[all.count - 1]] : all

  /// The fake EFA, set up or not.
  public static let fakeEFA = TestFabric(provider: "efa", description: "efa (fake, \(fakeNICs) NICs)")
}
