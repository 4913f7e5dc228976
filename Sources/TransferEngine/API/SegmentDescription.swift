/// A segment as its owner published it: what can be read and written there.
public struct SegmentDescription: Sendable {
  /// One registered range.
  public struct Buffer: Equatable, Sendable {
    /// Where the memory is: `cpu:0`, `cuda:3`, `*`.
    public let location: String
    /// The virtual address in the owner's process.
    public let address: UInt64
    /// Bytes.
    public let length: UInt64
  }

  /// The owner's name, `host:port`.
  public let name: String
  /// The protocol that its owner serves, `efa` or `tcp`.
  public let transport: String
  /// The NICs of its owner.
  public let nics: [String]
  /// The registered ranges in the order of the descriptor.
  public let buffers: [Buffer]
}
