/// What a model takes for granted. Everything that a prediction depends on, beside the kind of host, is here.
public struct Assumptions: Sendable {
  /// Instructions that one operation costs in the engine, from submitting it to its completion, without the provider's.
  /// nil: ``engineInstructions(nics:)``.
  public var engineInstructions: Double?
  /// Instructions that one operation costs in libfabric's provider: posting it and reading its completion. Has not been
  /// measured, for want of EFA hardware.
  public var providerInstructions = 600.0
  /// Instructions that a core carries out in a nanosecond: 3 is one per cycle at 3 GHz.
  public var instructionsPerNanosecond = 3.0
  /// Cores that drive the NICs, which are dealt to them in turn and which they do not share.
  public var cores = 1
  /// From the last byte on the wire to the completion that can be read, in microseconds.
  public var roundTrip = 20.0
  /// Which part of the line rate is left for data: the most that upstream has published of any host, 780 of 800 GB/s.
  public var wireEfficiency = 0.975
  /// Requests of a batch.
  public var batch = 128
  /// Batches that are under way at once, as of so many threads that submit one after the other.
  public var batchesUnderWay = 16
  /// Batches that are measured, after as many as are under way.
  public var batchesMeasured = 32
  /// Decides the order of the blocks.
  public var seed: UInt64 = 1

  /// The defaults.
  public init() {}

  /// What the benchmark of the engine's cost has counted, less the null fabric's 35: by NICs, batches of 128 writes.
  public static let measured: [(nics: Int, instructions: Double)] = [
    (1, 444), (8, 475), (16, 508), (32, 575),
  ]

  /// What was counted for so many NICs, or lies between the counts, or the nearest of them.
  public static func engineInstructions(nics: Int) -> Double {
    guard let above = measured.firstIndex(where: { $0.nics >= nics }) else { return measured.last?.instructions ?? 0 }
    guard above > 0 else { return measured[above].instructions }
    let (low, high) = (measured[above - 1], measured[above])
    let part = Double(nics - low.nics) / Double(high.nics - low.nics)
    return low.instructions + part * (high.instructions - low.instructions)
  }

  /// What one operation costs a core on a host with so many NICs, in picoseconds.
  func cost(nics: Int) -> UInt64 {
    let instructions = (engineInstructions ?? Self.engineInstructions(nics: nics)) + providerInstructions
    return UInt64(max(0, instructions / instructionsPerNanosecond * 1000))
  }
}
