internal import Fabric
internal import Glibc
internal import Topology
internal import Wire

/// Makes this engine's segment descriptor.
struct DescriptorPublisher: Sendable {
  let identity: LocalIdentity
  /// The host by which peers reach this one, without brackets.
  let host: String
  let fabric: EFATransport?
  let tcp: TCPTransport?
  let registry: LocalRegistry
  let sameHost: SameHost?

  /// The descriptor at this moment.
  func descriptor() -> SegmentDescriptor {
    var descriptor = withoutBuffers()
    descriptor.buffers = registry.published.flatMap(buffers)
    return descriptor
  }

  /// Who reads a descriptor.
  enum Reader {
    /// A peer that has asked, and may connect with what it is told.
    case peer
    /// Anyone, at any time.
    case store
  }

  /// The same as JSON. A buffer is written once, however often it is published.
  func encoded(for reader: Reader) -> [UInt8] {
    var descriptor = withoutBuffers()
    if reader == .peer, fabric != nil { descriptor.nicAddresses = identity.allAddresses }
    return descriptor.encoded(registry.published.map { $0.text { descriptor.text(of: buffers(of: $0)) } })
  }

  private func withoutBuffers() -> SegmentDescriptor {
    var descriptor: SegmentDescriptor
    if let fabric { descriptor = self.descriptor(fabric) } else { descriptor = streamDescriptor() }
    descriptor.incarnation = identity.incarnation
    descriptor.host = sameHost?.host
    descriptor.timestamp = Self.timestamp()
    return descriptor
  }

  private func descriptor(_ fabric: EFATransport) -> SegmentDescriptor {
    var descriptor = SegmentDescriptor(name: identity.name, transport: .efa)
    descriptor.devices = fabric.rails.map { SegmentDescriptor.Device(name: $0.device, lid: 0, gid: Self.gid(of: $0)) }
    descriptor.priorityMatrix = fabric.topology.entries.mapValues {
      SegmentDescriptor.Priority(preferred: $0.preferred, others: $0.others)
    }
    // For peers without a fabric. Upstream's take no notice of it.
    if let server = tcp?.server {
      descriptor.tcpDataPort = Int(server.port)
      descriptor.tcpDataHost = host
      descriptor.tcpProtocolVersion = 2
    }
    return descriptor
  }

  private func streamDescriptor() -> SegmentDescriptor {
    var descriptor = SegmentDescriptor(name: identity.name, transport: .tcp)
    descriptor.tcpDataPort = Int(tcp?.server?.port ?? 0)
    descriptor.tcpDataHost = host
    return descriptor
  }

  /// One per chunk.
  private func buffers(of region: Region) -> [SegmentDescriptor.Buffer] {
    region.chunks.map { chunk in
      let (address, length) = (UInt64(chunk.start), UInt64(chunk.length))
      // Peers expect the server's name where other transports have the memory's location.
      guard fabric != nil else {
        return SegmentDescriptor.Buffer(name: identity.name, address: address, length: length)
      }
      let keys = chunk.keys.map { $0?.key ?? 0 }
      return SegmentDescriptor.Buffer(
        name: region.location, address: address, length: length, localKeys: keys, remoteKeys: keys)
    }
  }

  /// What peers are told of a NIC's address.
  static func gid(of rail: Rail) -> String {
    // A provider without a source address has only the endpoint's; peers insist on something.
    let source = rail.domain.offer.sourceAddress
    return hexadecimal(source.isEmpty ? rail.address : source)
  }

  private static func hexadecimal(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  /// Local time as `2026-11-20 23:28:04.966041`, which is what peers show.
  private static func timestamp() -> String {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    var parts = tm()
    guard localtime_r(&now.tv_sec, &parts) != nil else { return "" }
    func padded(_ value: Int, _ digits: Int) -> String {
      let text = String(value)
      return String(repeating: "0", count: max(0, digits - text.count)) + text
    }
    let date = [Int(parts.tm_year) + 1900, Int(parts.tm_mon) + 1, Int(parts.tm_mday)]
    let time = [Int(parts.tm_hour), Int(parts.tm_min), Int(parts.tm_sec)]
    return date.map { padded($0, 2) }.joined(separator: "-") + " "
      + time.map { padded($0, 2) }.joined(separator: ":") + "." + padded(now.tv_nsec / 1000, 6)
  }
}
