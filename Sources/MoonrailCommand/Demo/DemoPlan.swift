/// The size of a demo.
struct DemoPlan: Equatable {
  let blockSize = 1 << 20
  let batchSize = 16
  /// Bytes written, and read, in a round.
  let bufferSize = 256 << 20
  /// At least 1.
  let rounds: Int

  /// Enough rounds for `bytes` bytes.
  init(bytes: Double) {
    rounds = max(1, Int((bytes / Double(bufferSize)).rounded(.up)))
  }

  /// Bytes written, and read, in all rounds.
  var bytes: Int { rounds * bufferSize }
}
