import TestSupport
import Testing
import TransferEngine

extension EngineTests {
  /// Messages beside the data.
  @Suite(.timeLimit(.minutes(1)))
  struct NotificationTests {
    @Test(arguments: TestFabric.few)
    func arrivesOnceAfterTheData(_ fabric: TestFabric) throws {
      let length = 8 << 20
      let near = try Near(fabric, bufferLength: length)
      let peer = try PeerProcess(provider: fabric.provider, bufferLength: length)
      let segment = try near.engine.openSegment(peer.name)
      near.fill(seed: 800, length: length)
      let batch = try near.engine.allocateBatch(capacity: 1)
      try near.engine.submit(
        [near.request(.write, 0, segment, peer.address, length)], to: batch,
        notification: NotificationMessage(name: "near", message: "arrived"))
      #expect(try near.engine.wait(for: batch, timeout: .seconds(60)).state == .completed)
      var heard = ""
      #expect(
        try eventually {
          heard = try peer.ask("notifications")
          return heard != "ok "
        })
      #expect(heard == "ok near=arrived")
      #expect(try peer.mismatch(seed: 800, length: length) == nil)
      // Whoever looks again sends nothing again. The second message shows that the first would have come by now.
      _ = try near.engine.status(of: batch)
      _ = try near.engine.wait(for: batch, timeout: .seconds(1))
      try near.engine.freeBatch(batch)
      try near.engine.notify(peer.name, NotificationMessage(name: "near", message: "last"))
      #expect(try peer.ask("notifications") == "ok near=last")
    }

    @Test(arguments: TestFabric.few)
    func nothingArrivesForWhatWasNotDone(_ fabric: TestFabric) throws {
      let near = try Near(fabric, bufferLength: 4096)
      let peer = try PeerProcess(provider: fabric.provider, bufferLength: 4096)
      let segment = try near.engine.openSegment(peer.name)
      let message = NotificationMessage(name: "near", message: "too early")
      // Refused: the address is not the peer's. The batch goes on to complete without it.
      let batch = try near.engine.allocateBatch(capacity: 2)
      #expect(
        code {
          try near.engine.submit([near.request(.write, 0, segment, 8, 8)], to: batch, notification: message)
        } == .metadata)
      #expect(code { try near.engine.submit([], to: batch, notification: message) } == .invalidArgument)
      try near.engine.submit([near.request(.write, 0, segment, peer.address, 8)], to: batch)
      #expect(try near.engine.wait(for: batch, timeout: .seconds(60)).state == .completed)
      try near.engine.freeBatch(batch)
      try near.engine.notify(peer.name, NotificationMessage(name: "near", message: "fence"))
      #expect(try peer.ask("notifications") == "ok near=fence")
    }

    @Test(arguments: TestFabric.few)
    func notifyAndProbe(_ fabric: TestFabric) throws {
      let near = try Near(fabric, bufferLength: 4096)
      let peer = try PeerProcess(provider: fabric.provider, bufferLength: 4096)
      try near.engine.probe(peer.name)
      let text = "ü \"quoted\" \\ {}"
      try near.engine.notify(peer.name, NotificationMessage(name: "n", message: text))
      #expect(try peer.ask("notifications") == "ok n=\(text)")
      #expect(try peer.ask("notify \(near.engine.name) peer back") == "ok")
      #expect(near.engine.takeNotifications() == [NotificationMessage(name: "peer", message: "back")])
      #expect(near.engine.takeNotifications().isEmpty)
      // To itself, too.
      try near.engine.notify(near.engine.name, NotificationMessage(name: "self", message: "talk"))
      #expect(near.engine.takeNotifications() == [NotificationMessage(name: "self", message: "talk")])
      peer.kill()
      #expect(code { try near.engine.probe(peer.name) } == .socket)
      #expect(code { try near.engine.notify(peer.name, NotificationMessage(name: "n", message: "m")) } == .socket)
    }
  }
}
