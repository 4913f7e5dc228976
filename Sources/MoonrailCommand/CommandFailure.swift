internal import TransferEngine

/// The end of a command: what to say on standard error before exiting with status 1.
struct CommandFailure: Error, Equatable {
  let message: String

  init(_ message: String) { self.message = message }

  /// What the engine said, as it said it.
  init(_ error: TransferError) { self.message = "error: \(error)" }
}

/// Runs `body` and turns what the engine throws into the end of the command.
func orFail<Value: ~Copyable>(_ body: () throws(TransferError) -> Value) throws(CommandFailure) -> Value {
  do {
    return try body()
  } catch {
    throw CommandFailure(error)
  }
}
