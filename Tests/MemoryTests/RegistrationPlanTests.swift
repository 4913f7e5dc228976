import Memory
import Testing

@Suite("A registration is cut and spread by upstream's rules")
struct RegistrationPlanTests {
  static let page = 4096
  static let chunkLimit = 94_489_280_512

  private func plan(
    _ length: Int, page: Int = page, region: Int = 0, nics: Int, preferred: [Int]? = nil,
    budget: Int = RegistrationPlan.pageEntryBudget
  ) throws(MemoryError) -> RegistrationPlan {
    try RegistrationPlan(
      address: 0x7f00_0000_0000, length: length, pageSize: page, maximumRegionSize: region, nicCount: nics,
      preferredNICs: preferred, pageEntryBudget: budget)
  }

  private func error(_ body: () throws(MemoryError) -> RegistrationPlan) -> MemoryError.Code? {
    do {
      _ = try body()
      return nil
    } catch {
      return error.code
    }
  }

  @Test func ruleA() throws {
    #expect(try plan(8192, nics: 4, preferred: [2, 1]).chunks == [.init(offset: 0, length: 8192, nics: [2, 1])])
    #expect(try plan(8192, nics: 4, preferred: [9, 3, -1]).chunks.first?.nics == [3], "indices without a NIC")
    #expect(try plan(8192, nics: 2, preferred: [9]).chunks.first?.nics == [0, 1])
    #expect(try plan(8192, nics: 2, preferred: []).chunks.first?.nics == [0, 1])
  }

  @Test func ruleB() throws {
    #expect(try plan(1, nics: 3).chunks == [.init(offset: 0, length: 1, nics: [0, 1, 2])])
  }

  @Test func ruleC() throws {
    let plan = try plan(10_000, region: 4096, nics: 2, preferred: [1])
    #expect(plan.chunks.map(\.length) == [4096, 4096, 1808])
    #expect(plan.chunks.map(\.offset) == [0, 4096, 8192])
    #expect(plan.chunks.allSatisfy { $0.nics == [0, 1] }, "the preferred NICs count for a single region only")
  }

  @Test func ruleD() throws {
    let plan = try plan(3 * 4 * Self.page, nics: 8, budget: 4)
    #expect(plan.chunks.map(\.length) == [16384, 16384, 16384])
    #expect(plan.chunks.map(\.nics) == [[0, 1, 2], [3, 4, 5], [6, 7]])
    #expect(try self.plan(4 * 4 * Self.page, nics: 4, budget: 4).chunks.map(\.nics) == [[0], [1], [2], [3]])
  }

  @Test(arguments: 2...32, [2, 3, 5, 16]) func partsAreDisjointAndCoverAllNICs(nics: Int, chunks: Int) throws {
    guard chunks <= nics else { return }
    let parts = try plan(chunks * 4 * Self.page, nics: nics, budget: 4).chunks.map(\.nics)
    #expect(parts.flatMap(\.self) == Array(0..<nics))
    #expect(parts.map(\.count) == (0..<chunks).map { nics / chunks + ($0 < nics % chunks ? 1 : 0) })
  }

  @Test func ruleE() throws {
    // Five regions of one page on two NICs that map three pages each.
    let plan = try plan(5 * Self.page, region: Self.page, nics: 2, budget: 3)
    #expect(plan.chunks.map(\.nics) == [[0], [1], [0], [1], [0]])
  }

  @Test func aNICBeyondItsBudgetIsRefused() {
    #expect(
      error { () throws(MemoryError) in try plan(7 * Self.page, region: Self.page, nics: 2, budget: 3) }
        == .pageBudgetExceeded)
    #expect(
      error { () throws(MemoryError) in try plan(2 * Self.chunkLimit + 1, nics: 2) } == .pageBudgetExceeded,
      "a region of one byte is a page more for the NIC that is full")
  }

  @Test func theLimitOfSmallPages() throws {
    #expect(try plan(Self.chunkLimit, nics: 2).chunks.count == 1)
    let two = try plan(Self.chunkLimit + Self.page, region: 1 << 40, nics: 4).chunks
    #expect(two.map(\.length) == [Self.chunkLimit, Self.page])
    #expect(two.map(\.nics) == [[0, 1], [2, 3]])
    #expect(try plan(Self.chunkLimit + 1, page: 2 << 20, nics: 1).chunks.count == 1, "larger pages, larger regions")
  }

  @Test func regionsAreTheBuffer() throws {
    for length in [1, 4095, 4096, 4097, 123_457] {
      var end = 0
      for chunk in try plan(length, region: 1000, nics: 3).chunks {
        #expect(chunk.offset == end)
        end += chunk.length
      }
      #expect(end == length)
    }
  }

  @Test func numbersOutOfRange() {
    #expect(error { () throws(MemoryError) in try plan(0, nics: 1) } == .invalidArgument)
    #expect(error { () throws(MemoryError) in try plan(-1, nics: 1) } == .invalidArgument)
    #expect(error { () throws(MemoryError) in try plan(1, nics: 0) } == .invalidArgument)
    #expect(error { () throws(MemoryError) in try plan(1, page: 0, nics: 1) } == .invalidArgument)
    #expect(error { () throws(MemoryError) in try plan(1, region: -1, nics: 1) } == .invalidArgument)
    #expect(error { () throws(MemoryError) in try plan(1, nics: 1, budget: 0) } == .invalidArgument)
    #expect(error { () throws(MemoryError) in try plan(Int.max, region: 1, nics: 1) } == .tooManyRegions)
    #expect(error { () throws(MemoryError) in try plan(Int.max, page: Int.max, nics: 1) } == nil)
    #expect(
      error { () throws(MemoryError) in
        try RegistrationPlan(address: .max - 10, length: 12, pageSize: 4096, maximumRegionSize: 0, nicCount: 1)
      } == .invalidArgument)
  }

  @Test func theErrorSaysWhatToDo() {
    do {
      _ = try plan(2 * Self.chunkLimit, nics: 1)
      Issue.record("one NIC cannot map it")
    } catch {
      #expect(error.description.contains("46137344 pages of 4096 bytes, of which it can map 23068672"))
      #expect(error.description.contains("larger pages"))
    }
  }
}
