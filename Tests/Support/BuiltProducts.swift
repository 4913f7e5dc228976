public import Foundation

/// Where the build puts executables: beside the test bundle.
public enum BuiltProducts {
  /// The directory of this test run's products.
  public static var directory: URL {
    get throws {
      // The test runner is given the bundle's path, whatever tool runs it.
      for argument in CommandLine.arguments {
        if let range = argument.range(of: "/[^/]*\\.xctest", options: .regularExpression) {
          return URL(filePath: String(argument[..<range.lowerBound]))
        }
      }
      let own = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
      return URL(filePath: own).deletingLastPathComponent()
    }
  }
}
