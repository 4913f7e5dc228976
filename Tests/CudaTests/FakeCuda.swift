internal import Foundation
internal import TestSupport

/// The libcuda for hosts without a GPU (`Tests/FakeCuda`), where `scripts/test.sh` has built it.
enum FakeCuda {
  /// The folder that it is in.
  static let folder: String? = ProcessInfo.processInfo.environment["MOONRAIL_FAKE_CUDA"]
  static var isBuilt: Bool { folder != nil }
  static let advice = "the fake libcuda is not there: run scripts/test.sh, or set MOONRAIL_FAKE_CUDA as it does"

  /// The file under the name that nobody looks for: what loads it in this process has it for itself.
  static var privateFile: String { "\(folder ?? "")/libfakecuda.so" }

  /// A peer with memory of the fake GPU `gpu`.
  static func peer(
    gpu: Int, provider: String?, bufferLength: Int = 64 << 20, environment: [String: String] = [:]
  ) throws -> PeerProcess {
    let variables = environment.merging(["LD_LIBRARY_PATH": folder ?? ""]) { $1 }
    return try PeerProcess(gpu: gpu, provider: provider, bufferLength: bufferLength, environment: variables)
  }
}

/// What the engines of a test speak.
struct Way: CustomStringConvertible, Sendable {
  let description: String
  /// libfabric's provider; nil for TCP.
  let provider: String?
  var environment: [String: String] = [:]

  static let tcp = Way(description: "tcp", provider: nil)
  static let all =
    [
      tcp, Way(description: "tcp, one lane", provider: nil, environment: ["MC_TCP_LANES_PER_PEER": "1"]),
      Way(description: "tcp, first framing", provider: nil, environment: ["MC_TCP_PROTO": "1"]),
    ]
    + (TestFabric.fakeNICs > 0 ? [Way(description: "efa (fake)", provider: "efa")] : [])
}

/// Two peers, of which at least one has its buffer on a GPU.
struct Sides: CustomStringConvertible, Sendable {
  let near: Int
  let far: Int
  var description: String { "\(near < 0 ? "host" : "GPU \(near)") to \(far < 0 ? "host" : "GPU \(far)")" }

  static let all = [Sides(near: 0, far: -1), Sides(near: -1, far: 1), Sides(near: 0, far: 1)]
}
