internal import CPython

/// A method of a type or a module.
struct Method {
  let name: StaticString
  let function: FastFunction
  /// Begins with the signature and a line `--`, which `inspect` reads.
  let doc: StaticString

  init(_ name: StaticString, _ doc: StaticString, _ function: FastFunction) {
    self.name = name
    self.doc = doc
    self.function = function
  }

  /// The table that CPython keeps a pointer to for ever.
  static func table(_ methods: [Method]) -> UnsafeMutablePointer<PyMethodDef> {
    let table = UnsafeMutablePointer<PyMethodDef>.allocate(capacity: methods.count + 1)
    table.initialize(repeating: PyMethodDef(), count: methods.count + 1)
    for (index, method) in methods.enumerated() {
      table[index] = PyMethodDef(
        ml_name: method.name.characters, ml_meth: unsafeBitCast(method.function, to: PyCFunction.self),
        ml_flags: METH_FASTCALL | METH_KEYWORDS, ml_doc: method.doc.characters)
    }
    return table
  }
}

/// An attribute of a type's instances.
struct Attribute {
  let name: StaticString
  let get: @convention(c) (PythonObject?, UnsafeMutableRawPointer?) -> PythonObject?
  let set: (@convention(c) (PythonObject?, PythonObject?, UnsafeMutableRawPointer?) -> Int32)?

  fileprivate static func table(_ attributes: [Attribute]) -> UnsafeMutablePointer<PyGetSetDef> {
    let table = UnsafeMutablePointer<PyGetSetDef>.allocate(capacity: attributes.count + 1)
    table.initialize(repeating: PyGetSetDef(), count: attributes.count + 1)
    for (index, attribute) in attributes.enumerated() {
      table[index] = PyGetSetDef(
        name: attribute.name.characters, get: attribute.get, set: attribute.set, doc: nil, closure: nil)
    }
    return table
  }
}

typealias NewFunction = @convention(c) (PythonObject?, PythonObject?, PythonObject?) -> PythonObject?
typealias DeallocFunction = @convention(c) (PythonObject?) -> Void

/// Makes a class whose instances keep one Swift object. A new reference.
///
/// - Parameter dealloc: Ends with ``freeInstance(_:)``.
func makeType(
  _ name: StaticString, doc: StaticString, methods: [Method] = [], attributes: [Attribute] = [],
  new: NewFunction, dealloc: DeallocFunction
) throws(PythonException) -> PythonObject {
  let slots: [PyType_Slot] = [
    PyType_Slot(slot: Py_tp_doc, pfunc: UnsafeMutableRawPointer(mutating: doc.characters)),
    PyType_Slot(slot: Py_tp_new, pfunc: unsafeBitCast(new, to: UnsafeMutableRawPointer.self)),
    PyType_Slot(slot: Py_tp_dealloc, pfunc: unsafeBitCast(dealloc, to: UnsafeMutableRawPointer.self)),
    PyType_Slot(slot: Py_tp_methods, pfunc: UnsafeMutableRawPointer(Method.table(methods))),
    PyType_Slot(slot: Py_tp_getset, pfunc: UnsafeMutableRawPointer(Attribute.table(attributes))),
    PyType_Slot(slot: Py_tp_members, pfunc: UnsafeMutableRawPointer(cpython_weak_list_member())),
    PyType_Slot(slot: 0, pfunc: nil),
  ]
  // CPython 3.10 and 3.11 keep pointers into both.
  let table = UnsafeMutablePointer<PyType_Slot>.allocate(capacity: slots.count)
  table.initialize(from: slots, count: slots.count)
  let specification = UnsafeMutablePointer<PyType_Spec>.allocate(capacity: 1)
  specification.initialize(
    to: PyType_Spec(
      name: name.characters, basicsize: Int32(CPYTHON_INSTANCE_SIZE), itemsize: 0,
      flags: UInt32(CPYTHON_TYPE_FLAGS), slots: table))
  guard let type = PyType_FromSpec(specification) else { throw PythonException() }
  return type
}

/// Makes an instance of `type` that keeps `payload`. A new reference.
func makeInstance(_ type: PythonObject, _ payload: AnyObject) throws(PythonException) -> PythonObject {
  typealias Allocate = @convention(c) (OpaquePointer?, Int) -> PythonObject?
  let typeObject = cpython_type_object(type)
  guard let slot = PyType_GetSlot(typeObject, Py_tp_alloc),
    let instance = unsafeBitCast(slot, to: Allocate.self)(typeObject, 0)
  else { throw PythonException() }
  cpython_payload(instance).pointee = Unmanaged.passRetained(payload).toOpaque()
  return instance
}

/// What an instance keeps. `type` must be what it was made for.
@inline(__always)
func payload<Payload: AnyObject>(_ instance: PythonObject?, as type: Payload.Type) throws(PythonException) -> Payload {
  guard let instance, let opaque = cpython_payload(instance).pointee else {
    throw PythonException(cpython_runtime_error(), "the object was never made")
  }
  return Unmanaged<Payload>.fromOpaque(opaque).takeUnretainedValue()
}

/// The instance's object, with the reference that the instance had.
func takePayload<Payload: AnyObject>(_ instance: PythonObject, as type: Payload.Type) -> Payload? {
  guard let opaque = cpython_payload(instance).pointee else { return nil }
  cpython_payload(instance).pointee = nil
  return Unmanaged<Payload>.fromOpaque(opaque).takeRetainedValue()
}

/// Ends an instance whose object is taken. A class of Python may have been derived from the type, so that the memory
/// goes back by the function of the instance's own type.
func freeInstance(_ instance: PythonObject) {
  typealias Free = @convention(c) (UnsafeMutableRawPointer?) -> Void
  PyObject_ClearWeakRefs(instance)
  let type: PythonObject = cpython_type(instance)
  if let slot = PyType_GetSlot(cpython_type_object(type), Py_tp_free) {
    unsafeBitCast(slot, to: Free.self)(UnsafeMutableRawPointer(instance))
  }
  Py_DecRef(type)
}
