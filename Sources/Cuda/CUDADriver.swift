internal import CCuda
internal import Synchronization

/// NVIDIA's driver library, where the process has it.
///
/// The engine never loads it: memory of a GPU cannot come from a process without it, so that one which has none is left
/// as it is. Nor does looking at pointers initialise CUDA or make a context.
///
/// `@unchecked Sendable`: the functions are immutable once bound, and the driver's are thread-safe.
public final class CUDADriver: @unchecked Sendable {
  /// What kind of memory an address is in.
  public enum MemoryKind: Equatable, Sendable {
    /// The processor's, page-locked or not, or none that CUDA knows.
    case host
    /// A GPU's, by CUDA's number in this process.
    case device(Int)
    /// Memory that the driver moves between the two as they use it.
    case managed(Int)
  }

  let functions: ccuda_functions
  private let contexts = Mutex<[Int: Kept]>([:])
  private struct Kept { weak var context: CUDAContext? }

  private static let library = "libcuda.so.1"
  private static let found = Mutex<CUDADriver?>(nil)
  /// How many libraries the process had loaded when we looked for the driver in vain.
  private static let lookedThrough = Atomic<UInt64>(0)

  private init(functions: ccuda_functions) { self.functions = functions }

  /// The driver that something in this process has loaded; nil while nothing has, which is normal. Asked anew until
  /// then. A driver that is older than CUDA 11.0 does not count.
  public static var mapped: CUDADriver? {
    found.withLock { found in
      if let found { return found }
      // Asked at every registration: to be told that it is not mapped, the loader looks for the file wherever it might
      // be.
      let loaded = ccuda_libraries_loaded()
      guard loaded != lookedThrough.load(ordering: .relaxed) else { return nil }
      found = try? open(library, onlyIfMapped: true)
      lookedThrough.store(loaded, ordering: .relaxed)
      return found
    }
  }

  /// Loads the driver and initialises CUDA, for those who want memory of a GPU of their own.
  ///
  /// - Throws: ``CUDAError`` if the host has no driver, or none that works.
  public static func load() throws(CUDAError) -> CUDADriver {
    try load(library) { driver in found.withLock { $0 = $0 ?? driver } }
  }

  /// The same from a file of another name, which the rest of the process goes on without: for tests.
  public static func load(path: String) throws(CUDAError) -> CUDADriver { try load(path) { _ in } }

  private static func load(_ path: String, _ remember: (CUDADriver) -> Void) throws(CUDAError) -> CUDADriver {
    let driver = try open(path, onlyIfMapped: false)
    try driver.check("cuInit", driver.functions.`init`(0), advice: "nvidia-smi shows whether the driver works.")
    remember(driver)
    return driver
  }

  static func open(_ path: String, onlyIfMapped: Bool) throws(CUDAError) -> CUDADriver {
    var functions = ccuda_functions()
    let reason = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 512) { text -> String? in
      text.initialize(repeating: 0)
      if ccuda_open(path, onlyIfMapped ? 1 : 0, &functions, text.baseAddress, text.count) != nil { return nil }
      return text.baseAddress.map { String(cString: $0) } ?? ""
    }
    if let reason {
      throw CUDAError(
        call: "dlopen", code: 0, text: reason,
        advice: "Install NVIDIA's driver, or pass the GPU into the container (docker run --gpus all).")
    }
    return CUDADriver(functions: functions)
  }

  /// What kind of memory `address` is in. Memory that CUDA does not know is the host's, as is everything before CUDA is
  /// initialised.
  ///
  /// - Throws: ``CUDAError`` if the driver cannot say, after a fault of a kernel, say: what it does not know to be the
  ///   host's must not be touched.
  public func kind(of address: UInt) throws(CUDAError) -> MemoryKind {
    var type: UInt32 = 0
    let result = functions.pointer_attribute(&type, Int32(CCUDA_POINTER_MEMORY_TYPE), ccuda_address(address))
    switch Int(result) {
    case CCUDA_SUCCESS: break
    case CCUDA_INVALID_VALUE, CCUDA_NOT_INITIALIZED, CCUDA_DEINITIALIZED, CCUDA_NO_DEVICE, CCUDA_INVALID_CONTEXT:
      return .host
    default:
      throw error("cuPointerGetAttribute", result, advice: "An earlier fault of the GPU's work may be the cause.")
    }
    var isManaged: UInt32 = 0
    // A driver that does not know the question has no such memory.
    _ = functions.pointer_attribute(&isManaged, Int32(CCUDA_POINTER_IS_MANAGED), ccuda_address(address))
    guard type == UInt32(CCUDA_MEMORY_DEVICE) || isManaged != 0 else { return .host }
    var ordinal: Int32 = 0
    try check(
      "cuPointerGetAttribute",
      functions.pointer_attribute(&ordinal, Int32(CCUDA_POINTER_DEVICE_ORDINAL), ccuda_address(address)))
    return isManaged == 0 ? .device(Int(ordinal)) : .managed(Int(ordinal))
  }

  /// The PCI addresses of the GPUs that this process may use, by CUDA's number, as the kernel writes them
  /// (`0000:10:1c.0`); nil while CUDA is not initialised.
  public var pciAddresses: [String]? {
    var count: Int32 = 0
    guard functions.device_count(&count) == 0 else { return nil }
    var addresses: [String] = []
    for ordinal in 0..<max(0, count) {
      var device: ccuda_device = 0
      var text = [CChar](repeating: 0, count: 32)
      guard functions.device(&device, ordinal) == 0,
        functions.pci_bus_id(&text, Int32(text.count - 1), device) == 0
      else { return nil }
      let bytes = text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:))
      addresses.append(String(decoding: bytes, as: UTF8.self).lowercased())
    }
    return addresses
  }

  /// The primary context of GPU `ordinal`, the one that CUDA's runtime and so PyTorch use. Everybody who asks gets the
  /// same one, and the driver keeps it for as long as somebody has it.
  public func context(of ordinal: Int) throws(CUDAError) -> CUDAContext {
    try contexts.withLock { contexts throws(CUDAError) in
      if let context = contexts[ordinal]?.context { return context }
      let context = try CUDAContext(self, ordinal: ordinal)
      contexts[ordinal] = Kept(context: context)
      return context
    }
  }

  func error(_ call: String, _ result: ccuda_result, advice: String = "") -> CUDAError {
    var text: UnsafePointer<CChar>?
    _ = functions.error_string(result, &text)
    return CUDAError(
      call: call, code: result, text: text.map { String(cString: $0) } ?? "unknown error", advice: advice)
  }

  func check(_ call: String, _ result: ccuda_result, advice: @autoclosure () -> String = "") throws(CUDAError) {
    guard result == 0 else { throw error(call, result, advice: advice()) }
  }
}
