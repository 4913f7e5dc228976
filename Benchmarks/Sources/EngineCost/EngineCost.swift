import CAllocationCount
import CCallgrind
import Glibc

/// Runs one loop for a number of operations, and prints how many allocations they made. The script beside the package
/// runs it under callgrind for the instructions.
@main
struct EngineCost {
  static func main() {
    let arguments = CommandLine.arguments
    if arguments.count == 2, arguments[1] == "list" {
      for loop in Loop.all { print(loop.name) }
      return
    }
    guard arguments.count == 3, let loop = Loop.all.first(where: { $0.name == arguments[1] }),
      let operations = Int(arguments[2]), operations > 0
    else {
      fail("usage: engine-cost list | engine-cost <loop> <operations>")
    }
    do {
      let run = try loop.prepare()
      // What is allocated once, on first use, is none of the operations'.
      try run(1)
      let before = allocation_count()
      callgrind_begin()
      try run(operations)
      callgrind_end()
      print(allocation_count() - before)
    } catch {
      fail("\(loop.name): \(error)")
    }
  }

  private static func fail(_ text: String) -> Never {
    let line = text + "\n"
    _ = line.withCString { write(2, $0, strlen($0)) }
    exit(1)
  }
}

/// Something that can be run for a number of operations.
struct Loop: Sendable {
  /// Submits this many operations and waits until all are complete.
  typealias Run = (_ operations: Int) throws -> Void

  var name: String
  /// Opens what the loop needs; not part of what is measured.
  var prepare: @Sendable () throws -> Run

  /// The rows of the table, in order.
  static let all: [Loop] = [rawLoop] + engineLoops + registrationLoops
}
