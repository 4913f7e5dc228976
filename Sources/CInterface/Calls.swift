internal import EngineLog
internal import Logging
internal import TransferEngine

/// What C callers give and get, checked and converted.
enum Calls {
  /// The largest number of elements that is believed: more requests than this cannot be in flight.
  static let maximumCount = 1 << 22

  static let logger = StandardErrorLog.logger("moonrail")

  /// Runs `body` with the engine behind the handle.
  ///
  /// - Returns: What `body` returns; a negative code where it throws, or where there is no engine.
  static func code(
    _ handle: UnsafeMutableRawPointer?, _ what: StaticString, _ body: (EngineCell) throws(TransferError) -> Int32
  ) -> Int32 {
    result(handle, what, body) { $0.code.rawValue == 0 ? -1 : -$0.code.rawValue }
  }

  /// The same with a positive code.
  static func status(
    _ handle: UnsafeMutableRawPointer?, _ what: StaticString, _ body: (EngineCell) throws(TransferError) -> Void
  ) -> Int32 {
    result(handle, what) { cell throws(TransferError) in
      try body(cell)
      return 0
    } otherwise: {
      $0.code.rawValue
    }
  }

  /// Runs `body` with the engine behind the handle, and logs why it fails.
  ///
  /// - Returns: What `body` returns, or else `otherwise`.
  static func result<R>(
    _ handle: UnsafeMutableRawPointer?, _ what: StaticString, _ body: (EngineCell) throws(TransferError) -> R,
    otherwise: (TransferError) -> R
  ) -> R {
    let result = HandleTable.shared.with(handle) { cell in
      Result { () throws(TransferError) in try body(cell) }
    }
    switch result {
    case .success(let value): return value
    case .failure(let error):
      logger.error("\(what): \(error)")
      return otherwise(error)
    case nil:
      let error = TransferError(.invalidArgument, "The handle is no engine's, or the engine was destroyed.")
      logger.error("\(what): \(error)")
      return otherwise(error)
    }
  }

  /// A string of the caller's.
  static func text(_ pointer: UnsafePointer<CChar>?, _ name: StaticString) throws(TransferError) -> String {
    guard let pointer else { throw TransferError(.invalidArgument, "\(name) is NULL.") }
    guard let text = String(validatingCString: pointer) else {
      throw TransferError(.invalidArgument, "\(name) is not UTF-8.")
    }
    return text
  }

  /// The elements of the caller's array, of which there may be none.
  static func elements<T>(
    _ pointer: UnsafeMutablePointer<T>?, _ count: Int, _ name: StaticString
  ) throws(TransferError) -> UnsafeBufferPointer<T> {
    guard count >= 0, count <= maximumCount else {
      throw TransferError(
        .tooManyRequests, "\(name) cannot have \(UInt(bitPattern: count)) elements: \(maximumCount) is the limit.")
    }
    guard count > 0 else { return UnsafeBufferPointer(start: nil, count: 0) }
    guard let pointer else { throw TransferError(.invalidArgument, "\(name) is NULL.") }
    return UnsafeBufferPointer(start: pointer, count: count)
  }

  /// Writes a text to the caller's buffer, or the beginning of it that has room.
  ///
  /// - Throws: `invalidArgument` where it has no room for all.
  static func write(
    _ text: String, to buffer: UnsafeMutablePointer<CChar>?, _ length: Int
  ) throws(TransferError) {
    // A length over Int.max arrives as a negative number; nobody has that, and the text is short.
    guard let buffer, length != 0 else { throw TransferError(.invalidArgument, "The buffer is NULL, or has no bytes.") }
    var text = text
    let room = length < 0 ? Int.max : length
    let size = text.withUTF8 { bytes in
      let count = min(bytes.count, room - 1)
      UnsafeMutableRawBufferPointer(start: buffer, count: count).copyBytes(from: bytes.prefix(count))
      buffer[count] = 0
      return bytes.count
    }
    guard size < room else {
      throw TransferError(.invalidArgument, "The buffer has \(room) bytes, and \(size + 1) are needed.")
    }
  }
}
