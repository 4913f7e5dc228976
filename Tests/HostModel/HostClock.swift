import SimulatedFabric

/// The time of a host that is modelled, in picoseconds: of its cores, which take time for every operation that they
/// post, and of its NICs, each of which is a wire that carries one byte after the other.
///
/// Nothing here depends on the machine's own clock. Used by one thread.
final class HostClock: Timekeeper {
  /// What a wire carried: bytes from `start` to `end`.
  private struct Passage {
    var start: UInt64
    var end: UInt64
    var bytes: Int
  }

  private struct NIC {
    var freeAt: UInt64 = 0
    var inFlight = 0
    var next: UInt64?
  }

  private let cost: UInt64
  private let roundTrip: UInt64
  private let picosecondsPerByte: Double
  private var cores: [UInt64]
  /// Looks at completion queues since a core had something to do.
  private var idleLooks: [Int]
  private var nics: [NIC]
  private var passages: [Passage] = []

  init(_ host: InstanceType, _ assumptions: Assumptions) {
    cost = assumptions.cost(nics: host.nics)
    roundTrip = UInt64(max(0, assumptions.roundTrip * 1e6))
    picosecondsPerByte = 8000 / (host.lineRate * assumptions.wireEfficiency)
    cores = Array(repeating: 0, count: max(1, assumptions.cores))
    idleLooks = Array(repeating: 0, count: cores.count)
    nics = Array(repeating: NIC(), count: host.nics)
  }

  /// The time of the core that is furthest.
  var now: UInt64 { cores.max() ?? 0 }

  /// Something has happened that all cores wait for: the application submits.
  func synchronise() {
    let now = now
    for core in cores.indices { cores[core] = now }
  }

  /// What went over the wires from `start` to `end`, and which part of the cores' time was spent on posting it.
  func traffic(from start: UInt64, to end: UInt64) -> (bytes: Double, load: Double) {
    guard end > start else { return (0, 0) }
    var bytes = 0.0
    var operations = 0.0
    for passage in passages {
      let overlap = Double(min(passage.end, end)) - Double(max(passage.start, start))
      guard overlap > 0 else { continue }
      let part = overlap / Double(passage.end - passage.start)
      bytes += part * Double(passage.bytes)
      operations += part
    }
    return (bytes, operations * Double(cost) / (Double(end - start) * Double(cores.count)))
  }

  /// What has passed is not asked for any more.
  func forget() { passages.removeAll(keepingCapacity: true) }

  func posted(bytes: Int, on nic: Int) -> UInt64 {
    let core = nic % cores.count
    cores[core] += cost
    idleLooks[core] = 0
    let start = max(cores[core], nics[nic].freeAt)
    let end = start + UInt64(max(1, (Double(bytes) * picosecondsPerByte).rounded(.up)))
    passages.append(Passage(start: start, end: end, bytes: bytes))
    nics[nic].freeAt = end
    nics[nic].inFlight += 1
    if nics[nic].inFlight == 1 { nics[nic].next = end + roundTrip }
    return end + roundTrip
  }

  func looked(at nic: Int) -> UInt64 { cores[nic % cores.count] }

  func read(completions: Int, of nic: Int, remaining: Int, next: UInt64?) {
    let core = nic % cores.count
    nics[nic].inFlight = remaining
    nics[nic].next = next
    guard completions == 0, remaining > 0 else {
      if completions > 0 { idleLooks[core] = 0 }
      return
    }
    idleLooks[core] += 1
    var busy = 0
    var soonest: UInt64?
    for index in stride(from: core, to: nics.count, by: cores.count) where nics[index].inFlight > 0 {
      busy += 1
      if let next = nics[index].next { soonest = min(soonest ?? next, next) }
    }
    // It has looked everywhere and posted nothing: it waits for what comes first.
    guard idleLooks[core] > busy, let soonest else { return }
    cores[core] = max(cores[core], soonest)
    idleLooks[core] = 0
  }
}
