/// One line on standard error that is written over again while a run lasts; nothing unless a person watches.
struct ProgressLine {
  private let parameters: RunParameters
  private let begin: UInt64
  private let isShown = Output.errorIsTerminal
  private var last: (time: UInt64, batches: Int)

  init(_ parameters: RunParameters, begin: UInt64) {
    self.parameters = parameters
    self.begin = begin
    last = (begin, 0)
  }

  mutating func update(batches: Int) {
    guard isShown else { return }
    let now = monotonicNanoseconds()
    let bytes = Double(batches - last.batches) * Double(parameters.batchSize) * Double(parameters.blockSize)
    let rate = parameters.unit.rate(
      bytes: bytes, seconds: Double(now - last.time) / 1e9, precision: parameters.precision)
    last = (now, batches)
    let elapsed = (Double(now - begin) / 1e9).fixed(0)
    Output.errorText("\r\u{1B}[K\(elapsed)/\(parameters.seconds) s  \(batches) batches  \(rate)")
  }

  func clear() {
    if isShown { Output.errorText("\r\u{1B}[K") }
  }
}
