internal import Dispatch
internal import Glibc
internal import Memory
internal import Synchronization
internal import TestSupport
internal import Testing

@testable internal import TransferEngine

@Suite("Same host: withdrawal under a neighbour", .serialized)
struct WithdrawalTests {
  private static let length = 4 << 20

  /// Has the peer write to the buffer here, over and over, until it fails.
  private func startWriting(_ pair: Neighbours) throws {
    try pair.peer.fill(seed: 30, length: Self.length)
    let own = UInt(bitPattern: pair.buffer.baseAddress)
    pair.fill(31, Self.length)
    try pair.peer.tell("write-for 30 \(pair.engine.name) \(own) \(Self.length / 8) 8")
    #expect(eventually { pair.mismatch(31, Self.length) != nil })
  }

  @Test("what was unregistered is not written to any more", arguments: Path.allCases)
  func nothingAfter(_ path: Path) throws {
    for _ in 0..<10 {
      let pair = try Neighbours(path, length: Self.length)
      try startWriting(pair)
      try pair.engine.unregister(pair.buffer.baseAddress)
      pair.fill(32, Self.length)
      let answer = try pair.peer.answer()
      // Its next attempt finds nothing registered, by whatever way.
      #expect(!answer.hasPrefix("completed"), "\(answer)")
      #expect(pair.mismatch(32, Self.length) == nil)
    }
  }

  @Test(
    "memory that comes and goes under a stream of writes: while it is gone, nothing lands", arguments: Path.allCases)
  func comesAndGoes(_ path: Path) throws {
    let pair = try Neighbours(path, length: Self.length)
    pair.fill(40, Self.length)
    let isOver = Flag()
    let group = DispatchGroup()
    for thread in 0..<2 {
      DispatchQueue.global().async(group: group) {
        // What is copied by the caller, and what is left to others.
        let requests = thread == 0 ? [pair.request(.write, 0, 100_000)] : [pair.request(.write, 0, Self.length)]
        while !isOver.value.load(ordering: .relaxed) { _ = try? pair.move(requests) }
      }
    }
    defer {
      isOver.value.store(true, ordering: .relaxed)
      group.wait()
    }
    for round in 0..<40 {
      #expect(try eventually { try pair.peer.mismatch(seed: 40, length: Self.length) == nil }, "\(round)")
      #expect(try pair.peer.ask("unregister") == "ok")
      try pair.peer.fill(seed: 41, length: Self.length)
      #expect(try pair.peer.mismatch(seed: 41, length: Self.length) == nil, "\(round)")
      #expect(try pair.peer.ask("register") == "ok")
    }
  }

  private final class Flag: Sendable { let value = Atomic<Bool>(false) }

  @Test("a neighbour that dies in the middle of a write is not waited for", arguments: Path.allCases)
  func dead(_ path: Path) throws {
    for _ in 0..<5 {
      let pair = try Neighbours(path, length: Self.length)
      try startWriting(pair)
      pair.peer.kill()
      try pair.engine.unregister(pair.buffer.baseAddress)
      pair.fill(33, Self.length)
      #expect(pair.mismatch(33, Self.length) == nil)
    }
  }

  @Test("a neighbour that stands still: the memory is withdrawn, or kept, but never written to after it")
  func stopped() throws {
    // Each time it stands in the middle of a copy costs half a minute.
    for _ in 0..<2 {
      let pair = try Neighbours(.copied, length: Self.length)
      try startWriting(pair)
      pair.peer.suspend()
      let failure = code { try pair.engine.unregister(pair.buffer.baseAddress) }
      if failure == nil { pair.fill(34, Self.length) }
      pair.peer.resume()
      #expect(failure == nil || failure == .busy)
      if failure == nil {
        #expect(try !pair.peer.answer().hasPrefix("completed"))
        #expect(pair.mismatch(34, Self.length) == nil)
      } else {
        try pair.engine.unregister(pair.buffer.baseAddress)
      }
    }
  }

  @Test("after an engine's end its memory is left alone", arguments: Path.allCases)
  func shutDown(_ path: Path) throws {
    let pair = try Neighbours(path, length: Self.length)
    try startWriting(pair)
    pair.engine.shutdown()
    pair.fill(35, Self.length)
    #expect(try !pair.peer.answer(within: 60).hasPrefix("completed"))
    #expect(pair.mismatch(35, Self.length) == nil)
  }

  @Test("what a withdrawal waits for: those who were in before it, until they leave")
  func slots() throws {
    let slots = Slots(try SharedPages(length: Slots.length))
    let first = try #require(slots.take())
    let second = try #require(slots.take())
    #expect(first != second)
    #expect(slots.busy.isEmpty)
    slots.enter(first)
    let (index, value) = try #require(slots.busy.first)
    #expect(index == first)
    slots.enter(second)
    #expect(slots.busy.count == 2)
    #expect(slots.says(value, at: index))
    slots.leave(first)
    slots.enter(first)
    // It is another visit, which began after the withdrawal.
    #expect(!slots.says(value, at: index))
    slots.leave(first)
    slots.leave(second)
    slots.giveBack(first)
    #expect(!slots.isIdle)
    slots.giveBack(second)
    #expect(slots.isIdle)
    #expect((0..<Slots.count).compactMap { _ in slots.take() } == Array(0..<Slots.count))
    #expect(slots.take() == nil)
  }

  @Test("an entry that was planned for does not hold once it is withdrawn, even if another takes its place")
  func entries() throws {
    let board = try Board()
    let entry = try #require(board.add(start: 0x1000, length: 0x1000, access: .readWrite, file: 0))
    let view = NeighbourView(board.pages, mappings: [:])
    let key = try #require(view.entry(of: 0x1800, length: 0x800, for: .write)).pointee.key
    #expect(view.entry(of: 0x1800, length: 0x801, for: .write) == nil)
    #expect(view.entry(of: 0xfff, length: 1, for: .write) == nil)
    #expect(BoardLayout.holds(key, in: board.pages))
    board.withdraw(entry)
    #expect(!BoardLayout.holds(key, in: board.pages))
    board.withdraw(entry)
    #expect(!BoardLayout.holds(key, in: board.pages))
    #expect(NeighbourView(board.pages, mappings: [:]).entry(of: 0x1800, length: 1, for: .read) == nil)
    board.release(entry)
    #expect(board.add(start: 0x1000, length: 0x1000, access: .readOnly, file: 0) == entry)
    #expect(!BoardLayout.holds(key, in: board.pages))
    #expect(!view.isCurrent)
    let second = NeighbourView(board.pages, mappings: [:])
    #expect(second.entry(of: 0x1000, length: 0x1000, for: .read) != nil)
    #expect(second.entry(of: 0x1000, length: 0x1000, for: .write) == nil)
  }
}
