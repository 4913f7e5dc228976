// swift-tools-version: 6.2

import PackageDescription

let settings: [SwiftSetting] = [
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

/// What is measured rather than tested. A package of its own, so that nothing here is a dependency of the engine.
let package = Package(
  name: "moonrail-benchmarks",
  products: [
    .executable(name: "engine-cost", targets: ["EngineCost"]),
    .executable(name: "host-model", targets: ["HostModelCommand"]),
  ],
  dependencies: [
    .package(name: "moonrail", path: ".."),
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
  ],
  targets: [
    .target(name: "CAllocationCount"),
    .target(name: "CCallgrind"),
    .executableTarget(
      name: "EngineCost",
      dependencies: [
        "CAllocationCount", "CCallgrind", .product(name: "SimulatedFabric", package: "moonrail"),
        .product(name: "TransferEngine", package: "moonrail"), .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: settings),
    .executableTarget(
      name: "HostModelCommand",
      dependencies: [
        .product(name: "HostModel", package: "moonrail"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: settings),
  ]
)
