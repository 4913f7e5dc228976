internal import CPython

/// The text of a Python string.
func text(_ object: PythonObject, _ what: StaticString) throws(PythonException) -> String {
  guard cpython_is_text(object) != 0 else { throw .typeError("\(what) must be a string") }
  var size = 0
  guard let bytes = PyUnicode_AsUTF8AndSize(object, &size) else { throw PythonException() }
  return UnsafeRawBufferPointer(start: bytes, count: size).withMemoryRebound(to: UInt8.self) {
    String(decoding: $0, as: UTF8.self)
  }
}

/// The text of a Python string, empty for None.
func textOrNone(_ object: PythonObject?, _ what: StaticString) throws(PythonException) -> String {
  guard let object, object != cpython_none() else { return "" }
  return try text(object, what)
}

/// A number from 0 to 2^64-1: a Python integer, or what numpy and torch have for one.
@inline(__always)
func unsigned(_ object: PythonObject) throws(PythonException) -> UInt64 {
  let value = PyLong_AsUnsignedLongLong(object)
  // The one value that also says that something is wrong.
  guard value == .max else { return value }
  return try uncommonUnsigned(object)
}

@inline(never)
private func uncommonUnsigned(_ object: PythonObject) throws(PythonException) -> UInt64 {
  guard PyErr_Occurred() != nil else { return .max }
  PyErr_Clear()
  guard cpython_is_int(object) == 0 else { throw .typeError("an integer must be from 0 to 2**64 - 1") }
  // Its class decides what happens now, and could let go of it.
  Py_IncRef(object)
  defer { Py_DecRef(object) }
  guard let index = PyNumber_Index(object) else {
    PyErr_Clear()
    throw .typeError("an integer is needed")
  }
  defer { Py_DecRef(index) }
  let value = PyLong_AsUnsignedLongLong(index)
  if value == .max, PyErr_Occurred() != nil {
    PyErr_Clear()
    throw .typeError("an integer must be from 0 to 2**64 - 1")
  }
  return value
}

/// A sequence of numbers: a list or tuple, or what can be made one.
struct Numbers: ~Copyable {
  /// A list or tuple; a reference of its own.
  private let items: PythonObject
  private let isList: Bool
  /// How many there are.
  let count: Int

  private init(items: PythonObject, isList: Bool, count: Int) {
    self.items = items
    self.isList = isList
    self.count = count
  }

  deinit { Py_DecRef(items) }

  /// Reads lists and tuples as they are, arrays of numpy, torch and the standard library by their `tolist`, and every
  /// other sequence item by item.
  static func of(_ object: PythonObject, _ what: StaticString) throws(PythonException) -> Numbers {
    if cpython_is_list(object) != 0 || cpython_is_tuple(object) != 0 {
      Py_IncRef(object)
      return owning(object)
    }
    guard cpython_is_text(object) == 0, cpython_is_bytes(object) == 0, PySequence_Check(object) != 0 else {
      throw .typeError("\(what) must be a list of integers")
    }
    if let list = listOfArray(object) { return owning(list) }
    guard let list = PySequence_List(object) else {
      PyErr_Clear()
      throw .typeError("\(what) must be a list of integers")
    }
    return owning(list)
  }

  private static func owning(_ items: PythonObject) -> Numbers {
    let isList = cpython_is_list(items) != 0
    return Numbers(items: items, isList: isList, count: isList ? PyList_Size(items) : PyTuple_Size(items))
  }

  private static func listOfArray(_ object: PythonObject) -> PythonObject? {
    guard let method = PyObject_GetAttrString(object, "tolist") else {
      PyErr_Clear()
      return nil
    }
    defer { Py_DecRef(method) }
    guard let list = PyObject_CallNoArgs(method) else {
      PyErr_Clear()
      return nil
    }
    guard cpython_is_list(list) != 0 else {
      Py_DecRef(list)
      return nil
    }
    return list
  }

  /// The number at `index`. The sequence may have been made shorter by then, which is an exception.
  @inline(__always)
  subscript(index: Int) -> UInt64 {
    get throws(PythonException) {
      guard let item = isList ? PyList_GetItem(items, index) : PyTuple_GetItem(items, index) else {
        throw PythonException()
      }
      return try unsigned(item)
    }
  }

  /// All of them.
  var all: [UInt64] {
    get throws(PythonException) {
      var numbers: [UInt64] = []
      numbers.reserveCapacity(count)
      for index in 0..<count { numbers.append(try self[index]) }
      return numbers
    }
  }
}
