public import CFabric

/// A libfabric to call: its entry points, its version and the file that they came from.
///
/// Nothing links libfabric. It is loaded when a fabric transport is asked for, and stays loaded.
public struct FabricLibrary: @unchecked Sendable {
  /// Where the library came from.
  public enum Origin: Equatable, Sendable {
    /// It was mapped in the process before (by NCCL's plugin, say).
    case alreadyMapped
    /// It was loaded by path or by the loader's search.
    case loaded
    /// Op tables supplied by the caller, no file.
    case supplied
  }

  /// The entry points. Immutable once bound, and libfabric's entry points are thread-safe: hence `@unchecked Sendable`.
  public let functions: cfabric_functions
  /// The file, or what to call a library that is not one.
  public let path: String
  /// How it was found.
  public let origin: Origin
  /// The version of the library's interface, major and minor.
  public let version: (major: UInt32, minor: UInt32)

  /// The interface version to request: 1.18 is where device RDMA is on by default on every EFA generation, older
  /// requests turn it off on the first p5; a library that is older gets its own version.
  public var requestedVersion: UInt32 {
    let wanted = cfabric_version(1, 18)
    return min(wanted, functions.version())
  }

  /// Entry points that are not a loaded library's, for tests on a simulated fabric.
  public init(supplied functions: cfabric_functions, name: String) {
    self.init(functions: functions, path: name, origin: .supplied)
  }

  private init(functions: cfabric_functions, path: String, origin: Origin) {
    self.functions = functions
    self.path = path
    self.origin = origin
    let number = functions.version()
    version = (cfabric_major(number), cfabric_minor(number))
  }

  /// One line for people: `libfabric 1.17 (/usr/lib/…/libfabric.so.1)`.
  public var summary: String {
    let note = origin == .alreadyMapped ? ", already mapped in this process" : ""
    return "libfabric \(version.major).\(version.minor) (\(path)\(note))"
  }

  /// Where to look when nothing is mapped and no path is given: the EFA installer's places come before the system's,
  /// since a distribution's libfabric is often too old for the device.
  public static let usualPlaces = [
    "/opt/amazon/efa/lib/libfabric.so.1", "/opt/amazon/efa/lib64/libfabric.so.1", "libfabric.so.1",
  ]

  /// Finds libfabric: the copy that is mapped already, else `explicitPath` and nothing else, else ``usualPlaces``.
  ///
  /// - Parameter explicitPath: A file that the user named (`MOONRAIL_LIBFABRIC`).
  /// - Throws: ``FabricError`` that lists every place with the loader's own reason.
  public static func load(explicitPath: String? = nil) throws(FabricError) -> FabricLibrary {
    for path in MappedLibraries.libfabric() {
      if let library = open(path, onlyIfMapped: true).library { return library }
    }
    var reasons: [String] = []
    for path in explicitPath.map({ [$0] }) ?? usualPlaces {
      let attempt = open(path, onlyIfMapped: false)
      if let library = attempt.library { return library }
      reasons.append(attempt.reason.hasPrefix(path) ? attempt.reason : "\(path): \(attempt.reason)")
    }
    throw FabricError(
      call: "dlopen", code: 0, text: "libfabric was not found (\(reasons.joined(separator: "; ")))",
      advice: explicitPath == nil
        ? "Install the EFA installer or the package libfabric1, or name the file in MOONRAIL_LIBFABRIC."
        : "Correct MOONRAIL_LIBFABRIC, or unset it to search the usual places.")
  }

  private static func open(_ path: String, onlyIfMapped: Bool) -> (library: FabricLibrary?, reason: String) {
    var functions = cfabric_functions()
    return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { text in
      text.initialize(repeating: 0)
      guard let handle = cfabric_open(path, onlyIfMapped ? 1 : 0, &functions, text.baseAddress, text.count) else {
        return (nil, text.baseAddress.map { String(cString: $0) } ?? "")
      }
      let file = cfabric_path(handle).map { String(cString: $0) } ?? path
      return (FabricLibrary(functions: functions, path: file, origin: onlyIfMapped ? .alreadyMapped : .loaded), "")
    }
  }

  /// The library's text for a positive error number.
  public func text(_ code: Int32) -> String {
    functions.strerror(code).map { String(cString: $0) } ?? "error \(code)"
  }

  /// The error of `call` that returned the negative `result`.
  func error(_ call: String, _ result: Int32, advice: String = "") -> FabricError {
    FabricError(call: call, code: -result, text: text(-result), advice: advice)
  }

  /// Throws if `result` is not success.
  func check(_ call: String, _ result: Int32, advice: @autoclosure () -> String = "") throws(FabricError) {
    guard result == 0 else { throw error(call, result, advice: advice()) }
  }
}
