/// An endpoint's address: 32 bytes laid out as EFA's (gid, queue pair number, queue key, zeros).
struct EndpointAddress: Hashable, Sendable {
  static let size = 32

  private var gidPrefix: UInt64
  private var gidHost: UInt64
  private var queue: UInt64
  private var reserved: UInt64 = 0

  /// `endpoint` zero is the address of the NIC itself, as `fi_getinfo` gives it.
  init(network: UInt32, nic: Int, endpoint: Int) {
    gidPrefix = UInt64(bigEndian: 0xFE80_0000_0000_0000)
    gidHost = UInt64(bigEndian: UInt64(network) << 32 | UInt64(nic + 1))
    let key = UInt64(truncatingIfNeeded: endpoint &* 0x9E37_79B1) << 32
    queue = UInt64(endpoint) & 0xFFFF | key
  }

  init(_ bytes: UnsafeRawPointer) { self = bytes.loadUnaligned(as: EndpointAddress.self) }

  /// No gid: an address that cannot be inserted.
  var isBlank: Bool { gidPrefix == 0 && gidHost == 0 }

  /// Writes as many bytes as fit, as `fi_getname` and `fi_av_lookup` do; says whether all did.
  func write(to destination: UnsafeMutableRawPointer?, capacity: Int) -> Bool {
    withUnsafeBytes(of: self) { bytes in
      destination?.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<min(capacity, Self.size)]))
    }
    return capacity >= Self.size && destination != nil
  }

  var bytes: [UInt8] { withUnsafeBytes(of: self, Array.init) }
}

extension UnsafeMutableRawPointer {
  fileprivate func copyMemory(from bytes: UnsafeRawBufferPointer) {
    guard let base = bytes.baseAddress else { return }
    copyMemory(from: base, byteCount: bytes.count)
  }
}
