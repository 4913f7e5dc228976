import TestSupport
import Testing
import TransferEngine

extension EngineTests {
  /// More than one NIC on either side, which only the fake EFA has here.
  @Suite(
    .timeLimit(.minutes(2)),
    .enabled(if: TestFabric.fakeNICs >= 4, Comment(rawValue: "needs four NICs; " + TestFabric.fakeEFAAdvice)))
  struct ManyNICTests {
    private static let fabric = TestFabric.fakeEFA

    /// Moves `count` blocks to the peer and back, and checks them at both ends.
    private func exchange(_ near: Near, _ peer: PeerProcess, count: Int, block: Int) throws {
      let segment = try near.engine.openSegment(peer.name)
      let length = count * block
      near.fill(seed: 1100, length: length)
      let places = (0..<count).map { $0 * block }
      let written = try near.transfer(
        places.map { near.request(.write, $0, segment, peer.address + UInt64($0), block) })
      #expect(written == TransferStatus(.completed, transferredBytes: UInt64(length)))
      #expect(try peer.mismatch(seed: 1100, length: length) == nil)
      try peer.fill(seed: 1101, length: length)
      let read = try near.transfer(
        places.map { near.request(.read, $0, segment, peer.address + UInt64($0), block) })
      #expect(read == TransferStatus(.completed, transferredBytes: UInt64(length)))
      #expect(near.mismatch(seed: 1101, length: length) == nil)
    }

    @Test func bytesAreSpreadEvenly() throws {
      let (count, block) = (TestFabric.fakeNICs * 100, 8192)
      let near = try Near(Self.fabric, bufferLength: count * block)
      let peer = try PeerProcess(provider: "efa", bufferLength: count * block)
      try exchange(near, peer, count: count, block: block)
      let nics = near.engine.nics
      #expect(nics.count == TestFabric.fakeNICs)
      let fair = 2 * count * block / nics.count
      for nic in nics {
        #expect(abs(Int(nic.transferredBytes) - fair) <= fair / 50, "\(nic.name): \(nic.transferredBytes) of \(fair)")
      }
      #expect(nics.reduce(0) { $0 + $1.transferredBytes } == UInt64(2 * count * block))
    }

    /// So is a single large request, whose odd end arrives as well.
    @Test func aLargeRequestIsSpreadEvenly() throws {
      let length = 64 << 20 | 3
      let near = try Near(Self.fabric, bufferLength: length)
      let peer = try PeerProcess(provider: "efa", bufferLength: length)
      try exchange(near, peer, count: 1, block: length)
      let fair = 2 * length / near.engine.nics.count
      for nic in near.engine.nics {
        #expect(abs(Int(nic.transferredBytes) - fair) <= fair / 20, "\(nic.name): \(nic.transferredBytes) of \(fair)")
      }
    }

    /// One request at a time goes round as well.
    @Test func singleRequestsAreSpreadEvenly() throws {
      let (rounds, block) = (5, 4096)
      let near = try Near(Self.fabric, bufferLength: block)
      let peer = try PeerProcess(provider: "efa", bufferLength: block)
      let segment = try near.engine.openSegment(peer.name)
      for _ in 0..<(rounds * TestFabric.fakeNICs) {
        #expect(try near.transfer([near.request(.write, 0, segment, peer.address, block)]).state == .completed)
      }
      #expect(near.engine.nics.map(\.completedOperations) == near.engine.nics.map { _ in UInt64(rounds) })
    }

    @Test func filterKeepsOne() throws {
      let all = try Near(Self.fabric, bufferLength: 4096).engine.nics.map(\.name)
      let near = try Near(Self.fabric, bufferLength: 1 << 20, deviceFilter: " \(all[2]) ")
      #expect(near.engine.nics.map(\.name) == [all[2]])
      #expect(try near.engine.describe(.local).nics == [all[2]])
      let peer = try PeerProcess(provider: "efa", bufferLength: 1 << 20)
      try exchange(near, peer, count: 16, block: 65536)
    }

    @Test func filterThatLeavesNothingListsTheDevices() throws {
      let all = try Near(Self.fabric, bufferLength: 4096).engine.nics.map(\.name)
      do {
        _ = try Near(Self.fabric, bufferLength: 4096, deviceFilter: "rdmap99s9")
        Issue.record("an engine without NICs")
      } catch let error as TransferError {
        #expect(error.code == .deviceNotFound)
        for name in all { #expect(error.message.contains(name)) }
        #expect(error.message.contains("MC_TE_FILTERS"))
      }
    }

    @Test(arguments: [1, 2, 3, 32])
    func peerHasAnotherNumberOfNICs(_ count: Int) throws {
      let near = try Near(Self.fabric, bufferLength: 1 << 20)
      let peer = try PeerProcess(
        provider: "efa", bufferLength: 1 << 20, environment: ["FAKE_EFA_NICS": "\(count)"])
      #expect(peer.nicCount == count)
      try exchange(near, peer, count: 128, block: 8192)
      let fair = (2 << 20) / TestFabric.fakeNICs
      #expect(near.engine.nics.allSatisfy { Int($0.transferredBytes) == fair })
      // And the other way round: the one with another number of NICs begins.
      try peer.fill(seed: 1110, length: 1 << 20)
      let own = UInt64(UInt(bitPattern: near.base))
      #expect(try peer.ask("write \(near.engine.name) 0 \(own) 8192 128") == "completed \(1 << 20)")
      #expect(near.mismatch(seed: 1110, length: 1 << 20) == nil)
    }

    /// The peer has one NIC only, and not the one of the same name.
    @Test func peerHasOtherNICs() throws {
      let all = try Near(Self.fabric, bufferLength: 4096).engine.nics.map(\.name)
      let near = try Near(Self.fabric, bufferLength: 1 << 20, deviceFilter: all[0])
      let peer = try PeerProcess(
        provider: "efa", bufferLength: 1 << 20, environment: ["MC_TE_FILTERS": "\(all[3]),\(all[1])"])
      #expect(peer.nicCount == 2)
      try exchange(near, peer, count: 16, block: 65536)
    }

    /// A peer that comes back under its name with fewer NICs is met again.
    @Test func peerComesBackWithFewerNICs() throws {
      let near = try Near(Self.fabric, bufferLength: 1 << 20, environment: ["MC_TRANSFER_TIMEOUT": "5"])
      var environment = PeerProcess.portOfItsOwn()
      let first = try PeerProcess(provider: "efa", bufferLength: 1 << 20, environment: environment)
      try exchange(near, first, count: 16, block: 65536)
      first.kill()
      environment["FAKE_EFA_NICS"] = "1"
      let second = try PeerProcess(provider: "efa", bufferLength: 1 << 20, environment: environment)
      #expect(second.name == first.name)
      let segment = try near.engine.openSegment(second.name)
      var arrived = false
      // The first may find out that the peer is another one.
      for _ in 0..<3 where !arrived {
        let batch = try near.engine.allocateBatch(capacity: 16)
        let requests = (0..<16).map {
          near.request(.write, $0 * 65536, segment, second.address + UInt64($0 * 65536), 65536)
        }
        do { try near.engine.submit(requests, to: batch) } catch { continue }
        arrived = try near.engine.wait(for: batch, timeout: .seconds(30)).state == .completed
      }
      #expect(arrived)
      #expect(try second.mismatch(seed: 1101, length: 1 << 20) == nil)
    }
  }
}
