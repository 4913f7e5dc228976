internal import CPython
internal import TransferEngine

/// The class `TransferNotify`: a message with a name.
enum NotifyType {
  private final class State {
    var message: NotificationMessage
    init(_ message: NotificationMessage) { self.message = message }
  }

  static func make() throws(PythonException) -> PythonObject {
    try makeType(
      "mooncake.engine.TransferNotify",
      doc:
        "TransferNotify(name='', msg='')\n--\n\nA message to the peer of a transfer, for when its bytes are in place.",
      attributes: [
        Attribute(
          name: "name", get: { this, _ in NotifyType.read(this, \.name) },
          set: { this, value, _ in NotifyType.write(this, \.name, value) }),
        Attribute(
          name: "msg", get: { this, _ in NotifyType.read(this, \.message) },
          set: { this, value, _ in NotifyType.write(this, \.message, value) }),
      ],
      new: { type, arguments, keywords in
        answer { () throws(PythonException) in
          guard let type else { throw PythonException() }
          let count = arguments.map { PyTuple_Size($0) } ?? 0
          guard count <= 2 else { throw .typeError("TransferNotify takes a name and a message") }
          var parts: [String?] = [nil, nil]
          for index in 0..<count {
            guard let item = PyTuple_GetItem(arguments, index) else { throw PythonException() }
            parts[index] = try text(item, "the name and the message")
          }
          var known = 0
          for (index, name) in ["name", "msg"].enumerated() {
            guard let keywords, let item = PyDict_GetItemString(keywords, name) else { continue }
            guard parts[index] == nil else { throw .typeError("TransferNotify got '\(name)' twice") }
            parts[index] = try text(item, "the name and the message")
            known += 1
          }
          guard known == keywords.map({ PyDict_Size($0) }) ?? 0 else {
            throw .typeError("TransferNotify has the parameters name and msg only")
          }
          return try makeInstance(type, State(NotificationMessage(name: parts[0] ?? "", message: parts[1] ?? "")))
        }
      },
      dealloc: { instance in
        guard let instance else { return }
        _ = takePayload(instance, as: State.self)
        freeInstance(instance)
      })
  }

  /// A new reference to an instance.
  static func instance(_ message: NotificationMessage) throws(PythonException) -> PythonObject {
    try makeInstance(try ModuleTypes.get(\.notify), State(message))
  }

  /// The message of an argument; nil for none.
  static func message(_ object: PythonObject?) throws(PythonException) -> NotificationMessage? {
    guard let object, object != cpython_none() else { return nil }
    guard cpython_is_instance(object, try ModuleTypes.get(\.notify)) != 0 else {
      throw .typeError("notify must be a TransferNotify or None")
    }
    return try payload(object, as: State.self).message
  }

  private static func read(
    _ instance: PythonObject?, _ part: KeyPath<NotificationMessage, String>
  ) -> PythonObject? {
    answer { () throws(PythonException) in pythonText(try payload(instance, as: State.self).message[keyPath: part]) }
  }

  private static func write(
    _ instance: PythonObject?, _ part: WritableKeyPath<NotificationMessage, String>, _ value: PythonObject?
  ) -> Int32 {
    do throws(PythonException) {
      guard let value else { throw .typeError("it cannot be deleted") }
      try payload(instance, as: State.self).message[keyPath: part] = try text(value, "it")
      return 0
    } catch {
      return -1
    }
  }
}
