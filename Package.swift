// swift-tools-version: 6.2

import PackageDescription

/// Applied to every Swift target: the language mode is 6 (the default of these tools), and what the next one will
/// require is required already.
let settings: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .enableUpcomingFeature("InferIsolatedConformances"),
]

let nio: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioHTTP: Target.Dependency = .product(name: "NIOHTTP1", package: "swift-nio")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")

/// Of the C library: nothing but the functions of its header can be seen from outside, and it is never unloaded, because
/// its threads would run into the void.
let cLibraryLinking: [LinkerSetting] = [
  .unsafeFlags(
    [
      "--version-script=\(Context.packageDirectory)/Sources/CInterface/exports.map", "--exclude-libs=ALL",
      "-soname=libmoonrail.so.0", "-z", "nodelete",
    ].flatMap { ["-Xlinker", $0] })
]

/// Bottom to top: a target depends only on targets above it in this list.
let package = Package(
  name: "moonrail",
  products: [
    .library(name: "Moonrail", targets: ["Moonrail"]),
    .library(name: "TransferEngine", targets: ["TransferEngine"]),
    .library(name: "SimulatedFabric", targets: ["SimulatedFabric"]),
    .library(name: "HostModel", targets: ["HostModel"]),
    .library(name: "MoonrailC", type: .dynamic, targets: ["CInterface"]),
    .executable(name: "moonrail", targets: ["MoonrailCommand"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
  ],
  targets: [
    .target(name: "CCuda"),
    .target(name: "CFabric"),
    .target(name: "CLinux"),
    .target(name: "Cuda", dependencies: ["CCuda"], swiftSettings: settings),
    .target(name: "Fabric", dependencies: ["CFabric"], swiftSettings: settings),
    .target(name: "Topology", dependencies: ["CLinux"], swiftSettings: settings),
    .target(name: "Wire", swiftSettings: settings),
    .target(name: "Memory", dependencies: ["CLinux"], swiftSettings: settings),
    .target(name: "Metadata", dependencies: ["Wire", nio, nioCore, nioHTTP, logging], swiftSettings: settings),
    .target(
      name: "MetadataServer", dependencies: ["Metadata", "Wire", nio, nioCore, nioHTTP, logging],
      swiftSettings: settings),
    .target(
      name: "TransferEngine",
      dependencies: [
        "CFabric", "CLinux", "Cuda", "Fabric", "Topology", "Wire", "Memory", "Metadata", nio, nioCore, logging,
      ],
      swiftSettings: settings),
    .target(name: "Moonrail", dependencies: ["TransferEngine"], swiftSettings: settings),
    .target(name: "EngineLog", dependencies: [logging], swiftSettings: settings),
    .target(
      name: "DropIn", dependencies: ["EngineLog", "Fabric", "Memory", "Topology", "TransferEngine", logging],
      swiftSettings: settings
    ),
    .target(name: "CTransferEngine"),
    .target(
      name: "CInterface",
      dependencies: ["CTransferEngine", "DropIn", "EngineLog", "Topology", "TransferEngine", logging],
      exclude: ["exports.map"], swiftSettings: settings, linkerSettings: cLibraryLinking),
    .executableTarget(
      name: "MoonrailCommand",
      dependencies: [
        "CLinux", "EngineLog", "Fabric", "MetadataServer", "Moonrail", "TransferEngine", "Topology", "Memory",
        arguments,
        logging, nio, nioCore,
      ],
      swiftSettings: settings),

    .target(
      name: "SimulatedFabric", dependencies: ["CFabric", "Fabric"], path: "Tests/SimulatedFabric",
      swiftSettings: settings),
    .target(
      name: "HostModel", dependencies: ["Fabric", "SimulatedFabric", "TransferEngine", logging],
      path: "Tests/HostModel", swiftSettings: settings),
    .target(name: "CHeap", path: "Tests/CHeap"),
    .target(
      name: "TestSupport", dependencies: ["Fabric", "TransferEngine"], path: "Tests/Support", swiftSettings: settings),
    .executableTarget(
      name: "TestPeer", dependencies: ["CLinux", "Cuda", "Memory", "Topology", "TransferEngine", logging],
      path: "Tests/Peer", swiftSettings: settings),
    .testTarget(
      name: "SimulatedFabricTests", dependencies: ["SimulatedFabric", "CFabric"], swiftSettings: settings),
    .testTarget(
      name: "FabricTests", dependencies: ["Fabric", "CFabric", "SimulatedFabric"], swiftSettings: settings),
    .testTarget(
      name: "CudaTests",
      dependencies: ["Cuda", "Memory", "TestSupport", "TestPeer", "Topology", "TransferEngine", logging],
      swiftSettings: settings),
    .testTarget(name: "TopologyTests", dependencies: ["Topology"], swiftSettings: settings),
    .testTarget(
      name: "WireTests", dependencies: ["Wire"], resources: [.copy("Fixtures")], swiftSettings: settings),
    .testTarget(name: "MemoryTests", dependencies: ["Memory", "TestSupport"], swiftSettings: settings),
    .testTarget(
      name: "MetadataTests", dependencies: ["Metadata", "Wire", nio, nioCore, logging], swiftSettings: settings),
    .testTarget(
      name: "MetadataServerTests",
      dependencies: ["MetadataServer", "Metadata", "TestSupport", "Wire", nio, nioCore, logging],
      swiftSettings: settings),
    .testTarget(
      name: "TransferEngineTests",
      dependencies: ["TransferEngine", "Moonrail", "Memory", "SimulatedFabric", "TestSupport", "TestPeer", logging],
      swiftSettings: settings),
    .testTarget(
      name: "EngineFaultTests",
      dependencies: [
        "CHeap", "TransferEngine", "SimulatedFabric", "Memory", "Fabric", "CFabric", "Wire", "Metadata", nio, nioCore,
        logging,
      ],
      swiftSettings: settings),
    .testTarget(name: "HostModelTests", dependencies: ["HostModel"], swiftSettings: settings),
    .testTarget(
      name: "StoreTests",
      dependencies: [
        "Metadata", "Wire", "TransferEngine", "Memory", "TestSupport", "TestPeer", nio, nioCore, nioHTTP, logging,
      ],
      swiftSettings: settings),
    .testTarget(
      name: "TCPTests",
      dependencies: ["TransferEngine", "Memory", "Wire", "TestSupport", "TestPeer", logging], swiftSettings: settings),
    .testTarget(
      name: "SameHostTests",
      dependencies: ["TransferEngine", "Memory", "Wire", "TestSupport", "TestPeer", logging], swiftSettings: settings),
    .testTarget(
      name: "CommandTests",
      dependencies: ["EngineLog", "MoonrailCommand", "TestSupport", "TransferEngine", arguments, logging],
      swiftSettings: settings),
  ]
)

/// The folder of Python.h. The Python module is part of the package only where it is given, so that all else builds
/// without Python.
if let pythonHeaders = Context.environment["MOONRAIL_PYTHON_INCLUDE"], !pythonHeaders.isEmpty {
  package.products.append(.library(name: "engine", type: .dynamic, targets: ["PythonModule"]))
  package.targets += [
    .target(name: "CPython", cSettings: [.unsafeFlags(["-I", pythonHeaders])]),
    .target(
      name: "PythonModule",
      dependencies: ["CPython", "DropIn", "Topology", "TransferEngine", logging],
      exclude: ["exports.map"],
      swiftSettings: settings + [.unsafeFlags(["-Xcc", "-I", "-Xcc", pythonHeaders])],
      linkerSettings: [
        // Whatever else the process has loaded, only the module's entry is seen of it.
        .unsafeFlags([
          "-Xlinker", "--exclude-libs=ALL",
          "-Xlinker", "--version-script=\(Context.packageDirectory)/Sources/PythonModule/exports.map",
        ])
      ]),
  ]
}
