/// A kind of host, as far as a model of it needs to know.
public struct InstanceType: Sendable {
  /// A throughput that upstream has published.
  public struct Published: Sendable {
    /// Bytes of a block; nil where upstream does not say.
    public var block: Int?
    /// Gigabytes (10^9 bytes) per second.
    public var rate: Double

    /// A point from its parts.
    public init(block: Int?, rate: Double) {
      self.block = block
      self.rate = rate
    }
  }

  /// Its name, as in `p5en`.
  public var name: String
  /// How many NICs it has.
  public var nics: Int
  /// What one NIC carries in each direction, in gigabits (10^9 bits) per second.
  public var lineRate: Double
  /// Operations that a NIC takes before the first of them completes.
  public var credits: Int
  /// What upstream has published of writes from GPU to GPU, in the description of its EFA transport.
  public var published: [Published]

  /// A kind of host from its parts.
  public init(name: String, nics: Int, lineRate: Double, credits: Int, published: [Published] = []) {
    self.name = name
    self.nics = nics
    self.lineRate = lineRate
    self.credits = credits
    self.published = published
  }

  /// What all NICs carry together, in gigabytes (10^9 bytes) per second.
  public var wireRate: Double { Double(nics) * lineRate / 8 }

  /// The hosts that upstream has published figures of. NICs and their rates are AWS's; the credits of p5 and p6-b300 are
  /// upstream's, those of the other two are taken to be the same as their generation's.
  public static let all = [
    InstanceType(name: "p5", nics: 32, lineRate: 100, credits: 4096, published: [Published(block: nil, rate: 389)]),
    InstanceType(
      name: "p5en", nics: 16, lineRate: 200, credits: 4096,
      published: [(64, 97), (128, 191), (256, 325), (512, 358), (1024, 353), (2048, 367)].map {
        Published(block: $0.0 << 10, rate: $0.1)
      }),
    InstanceType(name: "p6-b200", nics: 8, lineRate: 400, credits: 2048, published: [Published(block: nil, rate: 302)]),
    InstanceType(
      name: "p6-b300", nics: 16, lineRate: 400, credits: 2048, published: [Published(block: nil, rate: 780)]),
  ]
}
