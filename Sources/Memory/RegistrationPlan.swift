/// How one buffer is cut into memory regions, and which NICs each region is registered on.
///
/// A NIC maps a limited number of pages, and a region has a limited size; what is larger is registered in pieces. The
/// rules are upstream's, because each piece is published to peers.
public struct RegistrationPlan: Equatable, Sendable {
  /// One memory region.
  public struct Chunk: Equatable, Sendable {
    /// Bytes from the buffer's start.
    public let offset: Int
    /// Bytes.
    public let length: Int
    /// The NICs to register it on, as indices.
    public let nics: [Int]

    /// A region of the given place and NICs.
    public init(offset: Int, length: Int, nics: [Int]) {
      self.offset = offset
      self.length = length
      self.nics = nics
    }
  }

  /// The pages that one NIC is trusted to map: 22 · 2^20, upstream's figure for EFA. With pages of 4 KiB that is
  /// 94,489,280,512 bytes (88 GiB).
  public static let pageEntryBudget = 22 * 1024 * 1024

  /// More regions than this in one buffer are refused. Upstream has no such limit; at its default region size of 1 TiB
  /// nobody comes near it, and a region size of a few bytes would exhaust memory with descriptors.
  public static let maximumChunkCount = 1 << 20

  /// The regions in order; together they are the buffer.
  public let chunks: [Chunk]

  /// Plans a registration.
  ///
  /// Each region is as long as a NIC can map (`pageEntryBudget` pages) and a region can be, the last one shorter. The
  /// NICs of each:
  /// - (a) a single region with `preferredNICs`: those;
  /// - (b) a single region otherwise: all;
  /// - (c) several, but the buffer's pages fit into one NIC: all;
  /// - (d) no more regions than NICs: each gets NICs of its own, the first ones one more where they do not divide;
  /// - (e) more regions than NICs: in turn, one NIC each, as long as no NIC exceeds its budget.
  ///
  /// - Parameters:
  ///   - address: the buffer's first address.
  ///   - length: its length in bytes.
  ///   - pageSize: bytes of its pages; see `PageSize.kernelPageSize`.
  ///   - maximumRegionSize: the largest region in bytes that the device takes (`MC_MAX_MR_SIZE`); 0 if it names none.
  ///   - nicCount: how many NICs there are.
  ///   - preferredNICs: the NICs near the buffer, when each buffer goes only to those (`MC_EFA_NIC_SELECTION=local`).
  ///     Indices that no NIC has are skipped; if none is left, it counts as nil.
  ///   - pageEntryBudget: how many pages a NIC can map.
  ///
  /// Fails with `invalidArgument`, `tooManyRegions`, or `pageBudgetExceeded`.
  public init(
    address: UInt, length: Int, pageSize: Int, maximumRegionSize: Int, nicCount: Int, preferredNICs: [Int]? = nil,
    pageEntryBudget: Int = RegistrationPlan.pageEntryBudget
  ) throws(MemoryError) {
    try Self.check(address: address, length: length)
    try Self.check(pageSize, atLeast: 1, "page size", remedy: "Pass the size in bytes of the buffer's pages")
    try Self.check(
      maximumRegionSize, atLeast: 0, "largest region", remedy: "Set MC_MAX_MR_SIZE to 1 or more, or unset it")
    try Self.check(nicCount, atLeast: 1, "number of NICs", remedy: "Open at least one NIC before registering memory")
    try Self.check(pageEntryBudget, atLeast: 1, "page budget of a NIC", remedy: "Pass at least 1")

    let (product, overflow) = pageEntryBudget.multipliedReportingOverflow(by: pageSize)
    let mappable = overflow ? Int.max : product
    let limit = maximumRegionSize == 0 ? mappable : min(maximumRegionSize, mappable)
    let count = (length - 1) / limit + 1
    guard count <= Self.maximumChunkCount else {
      throw MemoryError(
        .tooManyRegions, "\(length) bytes in regions of at most \(limit) bytes make \(count) regions",
        remedy: "Raise MC_MAX_MR_SIZE so that there are at most \(Self.maximumChunkCount)")
    }
    let lengths = (0..<count).map { min(limit, length - $0 * limit) }
    let nics = try Self.nics(
      lengths: lengths, length: length, pageSize: pageSize, nicCount: nicCount,
      preferredNICs: preferredNICs?.filter((0..<nicCount).contains), budget: pageEntryBudget)
    chunks = zip(lengths, nics).enumerated().map { Chunk(offset: $0 * limit, length: $1.0, nics: $1.1) }
  }

  private static func nics(
    lengths: [Int], length: Int, pageSize: Int, nicCount: Int, preferredNICs: [Int]?, budget: Int
  ) throws(MemoryError) -> [[Int]] {
    let all = Array(0..<nicCount)
    if lengths.count == 1 {
      guard let preferredNICs, !preferredNICs.isEmpty else { return [all] }
      return [preferredNICs]
    }
    if length / pageSize <= budget {
      return lengths.map { _ in all }
    }
    if lengths.count <= nicCount {
      let (share, more) = nicCount.quotientAndRemainder(dividingBy: lengths.count)
      return lengths.indices.map { index in
        let first = index * share + min(index, more)
        return Array(first..<first + share + (index < more ? 1 : 0))
      }
    }
    try checkBudget(lengths: lengths, length: length, pageSize: pageSize, nicCount: nicCount, budget: budget)
    return lengths.indices.map { [$0 % nicCount] }
  }

  /// What each NIC maps when the regions go to them in turn.
  private static func checkBudget(
    lengths: [Int], length: Int, pageSize: Int, nicCount: Int, budget: Int
  ) throws(MemoryError) {
    var pages = [Int](repeating: 0, count: nicCount)
    for (index, length) in lengths.enumerated() {
      pages[index % nicCount] += (length - 1) / pageSize + 1
    }
    guard let nic = pages.indices.first(where: { pages[$0] > budget }) else { return }
    throw MemoryError(
      .pageBudgetExceeded,
      "NIC \(nic) would have to map \(pages[nic]) pages of \(pageSize) bytes, of which it can map \(budget): "
        + "\(length) bytes in \(lengths.count) regions on \(nicCount) NICs",
      remedy: "Back the buffer with larger pages (hugetlbfs), use more NICs, or register less")
  }

  private static func check(address: UInt, length: Int) throws(MemoryError) {
    guard length > 0 else {
      throw MemoryError(
        .invalidArgument, "A buffer of \(length) bytes cannot be registered", remedy: "Register at least one byte")
    }
    guard !address.addingReportingOverflow(UInt(length)).overflow else {
      throw MemoryError(
        .invalidArgument, "\(length) bytes at 0x\(String(address, radix: 16)) reach beyond the address space",
        remedy: "Check the address and the length")
    }
  }

  private static func check(_ value: Int, atLeast least: Int, _ name: String, remedy: String) throws(MemoryError) {
    guard value >= least else {
      throw MemoryError(.invalidArgument, "The \(name) is \(value), less than \(least)", remedy: remedy)
    }
  }
}
