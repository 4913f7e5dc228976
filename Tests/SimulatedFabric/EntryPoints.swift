import CFabric
import Synchronization

/// A network as its entry points see it.
protocol Provider: AnyObject, Sendable {
  var options: FabricOptions { get }
  var number: UInt32 { get }
  func openFabric(
    _ attributes: UnsafeMutablePointer<fi_fabric_attr>?,
    _ result: UnsafeMutablePointer<UnsafeMutablePointer<fid_fabric>?>?, _ context: UnsafeMutableRawPointer?
  ) -> Int32
}

/// The functions that stand for a loaded library. A C function cannot know which network it was called for, so there
/// are as many pairs of them as there can be networks at once.
enum EntryPoints {
  private typealias GetInfo =
    @convention(c) (
      UInt32, UnsafePointer<CChar>?, UnsafePointer<CChar>?, UInt64, UnsafePointer<fi_info>?,
      UnsafeMutablePointer<UnsafeMutablePointer<fi_info>?>?
    ) -> Int32
  private typealias OpenFabric =
    @convention(c) (
      UnsafeMutablePointer<fi_fabric_attr>?, UnsafeMutablePointer<UnsafeMutablePointer<fid_fabric>?>?,
      UnsafeMutableRawPointer?
    ) -> Int32
  private typealias Pair = (getInfo: GetInfo, openFabric: OpenFabric)

  private static let pairs: [Pair] = [
    ({ getInfo(0, $0, $4, $5) }, { openFabric(0, $0, $1, $2) }),
    ({ getInfo(1, $0, $4, $5) }, { openFabric(1, $0, $1, $2) }),
    ({ getInfo(2, $0, $4, $5) }, { openFabric(2, $0, $1, $2) }),
    ({ getInfo(3, $0, $4, $5) }, { openFabric(3, $0, $1, $2) }),
    ({ getInfo(4, $0, $4, $5) }, { openFabric(4, $0, $1, $2) }),
    ({ getInfo(5, $0, $4, $5) }, { openFabric(5, $0, $1, $2) }),
    ({ getInfo(6, $0, $4, $5) }, { openFabric(6, $0, $1, $2) }),
    ({ getInfo(7, $0, $4, $5) }, { openFabric(7, $0, $1, $2) }),
    ({ getInfo(8, $0, $4, $5) }, { openFabric(8, $0, $1, $2) }),
    ({ getInfo(9, $0, $4, $5) }, { openFabric(9, $0, $1, $2) }),
    ({ getInfo(10, $0, $4, $5) }, { openFabric(10, $0, $1, $2) }),
    ({ getInfo(11, $0, $4, $5) }, { openFabric(11, $0, $1, $2) }),
    ({ getInfo(12, $0, $4, $5) }, { openFabric(12, $0, $1, $2) }),
    ({ getInfo(13, $0, $4, $5) }, { openFabric(13, $0, $1, $2) }),
    ({ getInfo(14, $0, $4, $5) }, { openFabric(14, $0, $1, $2) }),
    ({ getInfo(15, $0, $4, $5) }, { openFabric(15, $0, $1, $2) }),
    ({ getInfo(16, $0, $4, $5) }, { openFabric(16, $0, $1, $2) }),
    ({ getInfo(17, $0, $4, $5) }, { openFabric(17, $0, $1, $2) }),
    ({ getInfo(18, $0, $4, $5) }, { openFabric(18, $0, $1, $2) }),
    ({ getInfo(19, $0, $4, $5) }, { openFabric(19, $0, $1, $2) }),
    ({ getInfo(20, $0, $4, $5) }, { openFabric(20, $0, $1, $2) }),
    ({ getInfo(21, $0, $4, $5) }, { openFabric(21, $0, $1, $2) }),
    ({ getInfo(22, $0, $4, $5) }, { openFabric(22, $0, $1, $2) }),
    ({ getInfo(23, $0, $4, $5) }, { openFabric(23, $0, $1, $2) }),
    ({ getInfo(24, $0, $4, $5) }, { openFabric(24, $0, $1, $2) }),
    ({ getInfo(25, $0, $4, $5) }, { openFabric(25, $0, $1, $2) }),
    ({ getInfo(26, $0, $4, $5) }, { openFabric(26, $0, $1, $2) }),
    ({ getInfo(27, $0, $4, $5) }, { openFabric(27, $0, $1, $2) }),
    ({ getInfo(28, $0, $4, $5) }, { openFabric(28, $0, $1, $2) }),
    ({ getInfo(29, $0, $4, $5) }, { openFabric(29, $0, $1, $2) }),
    ({ getInfo(30, $0, $4, $5) }, { openFabric(30, $0, $1, $2) }),
    ({ getInfo(31, $0, $4, $5) }, { openFabric(31, $0, $1, $2) }),
  ]

  private static let providers = Mutex<[(any Provider)?]>(Array(repeating: nil, count: pairs.count))

  /// Gives a network a pair of its own, until it is released.
  static func claim(_ provider: any Provider) -> Int {
    let slot = providers.withLock { providers -> Int? in
      guard let free = providers.firstIndex(where: { $0 == nil }) else { return nil }
      providers[free] = provider
      return free
    }
    guard let slot else { fatalError("more than \(pairs.count) simulated networks at once") }
    return slot
  }

  static func release(_ slot: Int) {
    // What is let go of may be the network itself: not under the lock.
    let released = providers.withLock { providers -> (any Provider)? in
      defer { providers[slot] = nil }
      return providers[slot]
    }
    withExtendedLifetime(released) {}
  }

  static func functions(_ slot: Int) -> cfabric_functions {
    cfabric_functions(
      getinfo: pairs[slot].getInfo,
      freeinfo: { freeInfoList($0) },
      dupinfo: { duplicateInfo($0) },
      fabric: pairs[slot].openFabric,
      version: { cfabric_version(1, 17) },
      strerror: { ProviderError.general($0 < 0 ? -$0 : $0) })
  }

  private static func provider(_ slot: Int) -> (any Provider)? { providers.withLock { $0[slot] } }

  private static func getInfo(
    _ slot: Int, _ version: UInt32, _ hints: UnsafePointer<fi_info>?,
    _ result: UnsafeMutablePointer<UnsafeMutablePointer<fi_info>?>?
  ) -> Int32 {
    guard let provider = provider(slot), let result else { return -FI_ENODATA }
    guard version <= cfabric_version(1, 17) else { return -FI_ENOSYS }
    guard let list = infoList(provider, version, hints) else { return -FI_ENODATA }
    result.pointee = list
    return 0
  }

  private static func openFabric(
    _ slot: Int, _ attributes: UnsafeMutablePointer<fi_fabric_attr>?,
    _ result: UnsafeMutablePointer<UnsafeMutablePointer<fid_fabric>?>?, _ context: UnsafeMutableRawPointer?
  ) -> Int32 {
    provider(slot)?.openFabric(attributes, result, context) ?? -FI_ENODATA
  }
}
