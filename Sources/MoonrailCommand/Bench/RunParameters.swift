/// The flags of a run after they were checked.
struct RunParameters: Equatable {
  enum Mode: String {
    case initiator, target
  }

  var mode: Mode
  /// The target's name.
  var segment: String
  /// Bytes of each buffer, at least ``requiredSize``.
  var bufferSize: Int
  /// Bytes that the threads together use of a buffer.
  var requiredSize: Int
  var batchSize: Int
  var blockSize: Int
  var seconds: Int
  var threads: Int
  /// Whether requests are in falling order, in which none can be merged with the next.
  var isScattered: Bool
  var unit: ReportUnit
  var precision: Int
  /// What a batch may take.
  var timeout: Duration
  var fillsMemory: Bool
  var json: Bool
  /// What to tell the user before the run.
  var warnings: [String]

  /// Where request `index` of thread `thread` lies in its buffer, here and at the target.
  func offset(request index: Int, thread: Int) -> Int {
    let place = isScattered ? batchSize - 1 - index : index
    return blockSize * (place * threads + thread)
  }
}
