internal import CPython

/// A Python object. Borrowed, unless a comment says otherwise.
typealias PythonObject = UnsafeMutablePointer<PyObject>

/// Says that a Python exception is set, which is to reach the caller.
struct PythonException: Error {
  /// For an exception that CPython has set.
  init() {}

  /// Sets an exception of class `type` that reads `message`.
  init(_ type: PythonObject, _ message: String) { PyErr_SetString(type, message) }

  static func typeError(_ message: String) -> PythonException { PythonException(cpython_type_error(), message) }
  static func valueError(_ message: String) -> PythonException { PythonException(cpython_value_error(), message) }
}

/// Turns what `body` does into what CPython expects: a new reference, or nil with an exception set.
func answer(_ body: () throws(PythonException) -> PythonObject?) -> PythonObject? {
  do throws(PythonException) {
    return try body()
  } catch {
    return nil
  }
}

/// Runs `body` with the interpreter free for other threads. It must not touch any Python object.
func withoutInterpreter<R>(_ body: () -> R) -> R {
  let state = PyEval_SaveThread()
  defer { PyEval_RestoreThread(state) }
  return body()
}

// New references.

func pythonNone() -> PythonObject {
  let none: PythonObject = cpython_none()
  Py_IncRef(none)
  return none
}

func pythonCode(_ value: Int32) -> PythonObject? { PyLong_FromLong(Int(value)) }
func pythonInt(_ value: UInt64) -> PythonObject? { PyLong_FromUnsignedLongLong(value) }

func pythonText(_ text: String) -> PythonObject? {
  var text = text
  return text.withUTF8 { bytes in
    bytes.withMemoryRebound(to: CChar.self) { PyUnicode_DecodeUTF8($0.baseAddress, $0.count, "replace") }
  }
}

func pythonList<Element>(
  _ elements: [Element], _ make: (Element) throws(PythonException) -> PythonObject?
) throws(PythonException) -> PythonObject {
  guard let list = PyList_New(elements.count) else { throw PythonException() }
  for (index, element) in elements.enumerated() {
    do throws(PythonException) {
      guard let object = try make(element) else { throw PythonException() }
      _ = PyList_SetItem(list, index, object)
    } catch {
      Py_DecRef(list)
      throw error
    }
  }
  return list
}
