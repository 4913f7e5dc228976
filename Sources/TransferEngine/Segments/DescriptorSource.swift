internal import Metadata
internal import Wire

/// Where the descriptors of segments come from: their owners, or a store.
struct DescriptorSource: Sendable {
  let client: HandshakeClient
  let directory: SegmentDirectory?
  let identity: LocalIdentity

  /// What the engine named `name` publishes.
  func descriptor(of name: String) throws(TransferError) -> SegmentDescriptor {
    do {
      if let directory {
        var descriptor = try directory.segmentDescriptor(of: name)
        // Older engines do not say where their data port is. It is where the engine is, which a name in a store
        // does not tell.
        if descriptor.transport == .tcp, descriptor.tcpDataHost == nil {
          descriptor.tcpDataHost = try directory.location(of: name).host
        }
        // Nobody knows how old they are.
        descriptor.nicAddresses = nil
        return descriptor
      }
      let request = DescriptorRequest(server: identity.name, incarnation: identity.incarnation)
      return try client.segmentDescriptor(of: name, as: request)
    } catch {
      throw TransferError(error)
    }
  }
}

extension SegmentDescriptor {
  /// Whether the two say the same to a peer: when they were written does not matter, and neither does the version of
  /// the TCP framing, which both sides find out by themselves.
  func isEquivalent(to other: SegmentDescriptor) -> Bool {
    var (left, right) = (self, other)
    (left.timestamp, right.timestamp) = (nil, nil)
    (left.tcpProtocolVersion, right.tcpProtocolVersion) = (0, 0)
    return left == right
  }
}
