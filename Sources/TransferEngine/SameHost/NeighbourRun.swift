/// Requests of one batch to one neighbour, linked from the oldest to the youngest.
struct NeighbourRun {
  let neighbour: Neighbour
  /// Keeps mapped the memory that the requests point to.
  let view: NeighbourView
  var oldest: WorkRequestPointer?
  var youngest: WorkRequestPointer?
  var bytes = 0

  init(_ neighbour: Neighbour, _ view: NeighbourView) {
    self.neighbour = neighbour
    self.view = view
  }

  @inline(__always)
  mutating func append(_ request: WorkRequestPointer) {
    request.pointee.next = nil
    if let youngest { youngest.pointee.next = request } else { oldest = request }
    youngest = request
    bytes &+= request.pointee.length
  }
}
