internal import Synchronization

extension UnsafeMutablePointer where Pointee == Batch {
  /// Remembers the peer that requests of the batch go to over TCP, so that who waits for the batch can see to it. The
  /// first one only: others are seen to by their lanes' threads. For the thread that submits.
  func follow(_ peer: TCPPeer) {
    guard pointee.stream.load(ordering: .relaxed) == 0 else { return }
    pointee.stream.store(UInt(bitPattern: Unmanaged.passRetained(peer).toOpaque()), ordering: .releasing)
  }

  /// Whether requests of the batch have gone over TCP.
  var hasStream: Bool { pointee.stream.load(ordering: .relaxed) != 0 }

  /// Works on what the batch has under way over TCP until it is settled or the clock passes `deadline`; 0: only looks.
  /// Returns false if there is nothing that the caller could do.
  func attend(until deadline: UInt64) -> Bool {
    guard let opaque = UnsafeRawPointer(bitPattern: pointee.stream.load(ordering: .acquiring)) else { return false }
    // The batch holds it until it is freed, and the caller holds the batch.
    return Unmanaged<TCPPeer>.fromOpaque(opaque)._withUnsafeGuaranteedRef { $0.attend(self, until: deadline) }
  }

  /// Nobody is going to wait for the batch: somebody else has to see to it.
  func entrust() {
    guard let opaque = UnsafeRawPointer(bitPattern: pointee.stream.load(ordering: .acquiring)) else { return }
    Unmanaged<TCPPeer>.fromOpaque(opaque)._withUnsafeGuaranteedRef { $0.entrust(self) }
  }
}
