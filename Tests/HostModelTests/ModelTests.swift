import HostModel
import Testing

@Suite struct ModelTests {
  private func host(nics: Int, credits: Int = 256) -> InstanceType {
    InstanceType(name: "test", nics: nics, lineRate: 100, credits: credits)
  }

  /// Short enough for a build without optimisation.
  private var brief: Assumptions {
    var assumptions = Assumptions()
    assumptions.batch = 32
    assumptions.batchesUnderWay = 8
    assumptions.batchesMeasured = 16
    return assumptions
  }

  private func rate(_ host: InstanceType, _ assumptions: Assumptions, _ block: Int) throws -> Double {
    try Model(host, assumptions).predict(block: block).rate
  }

  @Test func itSaysTheSameTwice() throws {
    let rates = try (0..<2).map { _ in
      let model = try Model(host(nics: 4), brief)
      return try [4096, 65_536, 1 << 20].map { try model.predict(block: $0).rate }
    }
    #expect(rates[0] == rates[1])
    #expect(rates[0].allSatisfy { $0 > 0 })
  }

  @Test(arguments: [1, 3, 8]) func theWireIsNeverFasterThanItIs(nics: Int) throws {
    var assumptions = brief
    assumptions.engineInstructions = 1
    assumptions.providerInstructions = 0
    let host = host(nics: nics)
    let model = try Model(host, assumptions)
    let limit = host.wireRate * assumptions.wireEfficiency
    for block in [512, 4096, 65_536, 1_000_003, 4 << 20] {
      let prediction = try model.predict(block: block)
      #expect(prediction.rate <= limit * 1.000_001, "\(block)")
      if block >= 65_536 { #expect(prediction.limit == .wire && prediction.rate > 0.95 * limit, "\(prediction)") }
    }
  }

  @Test func twiceTheNICsAreTwiceTheRateWhereTheWireLimits() throws {
    let (two, four) = (try rate(host(nics: 2), brief, 1 << 20), try rate(host(nics: 4), brief, 1 << 20))
    #expect(four / two > 1.98 && four / two < 2.02, "\(two) \(four)")
  }

  @Test func whereTheSoftwareLimitsItIsOneBlockPerCost() throws {
    var assumptions = brief
    assumptions.engineInstructions = 2000
    assumptions.providerInstructions = 1000
    // 3,000 instructions, 3 in a nanosecond: 4 KiB in a microsecond.
    let model = try Model(host(nics: 4), assumptions)
    let prediction = try model.predict(block: 4096)
    #expect(prediction.limit == .software)
    #expect(prediction.rate > 0.98 * 4.096 && prediction.rate < 1.02 * 4.096, "\(prediction)")
    // More NICs do not help, more cores do.
    let more = try rate(host(nics: 8), assumptions, 4096)
    #expect(more > 0.98 * 4.096 && more < 1.02 * 4.096, "\(more)")
    assumptions.cores = 2
    let both = try rate(host(nics: 4), assumptions, 4096)
    #expect(both > 1.9 * 4.096 && both < 2.02 * 4.096, "\(both)")
  }

  @Test func longRoundTripsNeedCredits() throws {
    var assumptions = brief
    assumptions.engineInstructions = 10
    assumptions.providerInstructions = 0
    assumptions.roundTrip = 1000
    // Eight operations of 64 KiB in each millisecond that an answer takes, which is all that there are credits for; and
    // not quite all, since a rail keeps some of them for other peers.
    let model = try Model(host(nics: 1, credits: 8), assumptions)
    let few = try model.predict(block: 65_536)
    let carrying = 65_536 / (host(nics: 1).wireRate * assumptions.wireEfficiency)
    let most = 8 * 65_536 / (1_000_000 + carrying)
    #expect(few.limit == .latency)
    #expect(few.rate > 0.8 * most && few.rate < 1.001 * most, "\(few) \(most)")
    #expect(try rate(host(nics: 1, credits: 16), assumptions, 65_536) > 1.8 * few.rate)
    assumptions.roundTrip = 1
    #expect(try rate(host(nics: 1, credits: 8), assumptions, 65_536) > 0.9 * 12.5 * assumptions.wireEfficiency)
  }

  @Test func whatIsNotMeasuredLiesBetweenWhatIs() {
    let known = Assumptions.measured
    for entry in known { #expect(Assumptions.engineInstructions(nics: entry.nics) == entry.instructions) }
    for nics in 1...64 {
      let cost = Assumptions.engineInstructions(nics: nics)
      #expect(cost >= known[0].instructions && cost <= known[known.count - 1].instructions)
    }
  }
}
