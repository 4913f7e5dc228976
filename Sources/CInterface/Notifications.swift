public import CTransferEngine
internal import DropIn
internal import Glibc
internal import Logging
internal import Synchronization
internal import TransferEngine

extension NotificationMessage {
  /// What the caller wants to be sent.
  init(_ message: notify_msg_t) throws(TransferError) {
    self.init(
      name: try Calls.text(message.name, "notify_msg.name"), message: try Calls.text(message.msg, "notify_msg.msg"))
  }
}

extension EngineCell {
  /// Takes the notifications that have arrived, as C has them: in one piece of memory, the array first and then the
  /// texts, so that nobody has to know how many there are to free it.
  func takeNotifications() throws(TransferError) -> (messages: UnsafeMutablePointer<notify_msg_t>?, count: Int32) {
    let arrived = try with { engine throws(TransferError) in try engine.engine.takeNotifications() }
    let messages = state.withLock { state in
      defer { state.inbox = [] }
      return state.inbox + arrived
    }
    guard !messages.isEmpty, let count = Int32(exactly: messages.count) else { return (nil, 0) }
    let head = messages.count * MemoryLayout<notify_msg_t>.stride
    let size = messages.reduce(head) { $0 + $1.name.utf8.count + $1.message.utf8.count + 2 }
    guard let memory = malloc(size) else {
      throw TransferError(.memory, "There is no memory for \(messages.count) notifications, which are lost.")
    }
    let array = memory.bindMemory(to: notify_msg_t.self, capacity: messages.count)
    var free = (memory + head).bindMemory(to: CChar.self, capacity: size - head)
    func place(_ text: String) -> UnsafeMutablePointer<CChar> {
      let start = free
      for byte in text.utf8 {
        free.pointee = CChar(bitPattern: byte)
        free += 1
      }
      free.pointee = 0
      free += 1
      return start
    }
    for (index, message) in messages.enumerated() {
      array[index] = notify_msg_t(name: place(message.name), msg: place(message.message))
    }
    return (array, count)
  }
}

/// `getNotifsFromEngine` of `transfer_engine_c.h`, which describes it.
@c @implementation
public func getNotifsFromEngine(
  _ engine: UnsafeMutableRawPointer?, _ size: UnsafeMutablePointer<Int32>?
) -> UnsafeMutablePointer<notify_msg_t>? {
  guard let size else {
    Calls.logger.error("getNotifsFromEngine: size is NULL")
    return nil
  }
  size.pointee = 0
  return Calls.result(engine, "getNotifsFromEngine") { cell throws(TransferError) in
    let (messages, count) = try cell.takeNotifications()
    size.pointee = count
    return messages
  } otherwise: { _ in
    nil
  }
}

/// `freeNotifsMsgBuf` of `transfer_engine_c.h`, which describes it.
@c @implementation
public func freeNotifsMsgBuf(_ messages: UnsafeMutablePointer<notify_msg_t>?, _ size: Int32) -> Int32 {
  free(messages)
  return 0
}

/// `genNotifyInEngine` of `transfer_engine_c.h`, which describes it.
@c @implementation
public func genNotifyInEngine(
  _ engine: UnsafeMutableRawPointer?, _ target: UInt64, _ message: notify_msg_t
) -> Int32 {
  Calls.code(engine, "genNotifyInEngine") { cell throws(TransferError) in
    let message = try NotificationMessage(message)
    let name = try cell.name(of: target)
    try cell.with { engine throws(TransferError) in try engine.engine.notify(name, message) }
    return 0
  }
}
