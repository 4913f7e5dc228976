/* CPython's stable ABI for Swift: the headers, and what Swift cannot import from them. */
#ifndef CPYTHON_H
#define CPYTHON_H

/* One build serves CPython 3.10 and all later versions. */
#define Py_LIMITED_API 0x030a0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stddef.h>

/* An instance of any of the module's types. */
struct cpython_instance {
	PyObject_HEAD
	void *payload;       /* what the Swift side keeps there */
	PyObject *weak_list; /* CPython's own, for weak references */
};

static inline void **cpython_payload(PyObject *object) { return &((struct cpython_instance *)object)->payload; }
enum {
	CPYTHON_INSTANCE_SIZE = sizeof(struct cpython_instance),
	CPYTHON_WEAK_LIST_OFFSET = offsetof(struct cpython_instance, weak_list),
	CPYTHON_TYPE_FLAGS = (int)(Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE),
};

/* Py_TYPE, as an object. */
static inline PyObject *cpython_type(PyObject *object) { return (PyObject *)Py_TYPE(object); }
static inline PyTypeObject *cpython_type_object(PyObject *type) { return (PyTypeObject *)type; }

/* The type-check macros. */
static inline int cpython_is_int(PyObject *object) { return PyLong_Check(object); }
static inline int cpython_is_list(PyObject *object) { return PyList_Check(object); }
static inline int cpython_is_tuple(PyObject *object) { return PyTuple_Check(object); }
static inline int cpython_is_bytes(PyObject *object) { return PyBytes_Check(object); }
static inline int cpython_is_text(PyObject *object) { return PyUnicode_Check(object); }
static inline int cpython_is_instance(PyObject *object, PyObject *type)
{
	return PyObject_TypeCheck(object, (PyTypeObject *)type);
}

/* Objects that are C globals, which Swift 6 does not let be read. All borrowed. */
static inline PyObject *cpython_none(void) { return Py_None; }
static inline PyObject *cpython_type_error(void) { return PyExc_TypeError; }
static inline PyObject *cpython_value_error(void) { return PyExc_ValueError; }
static inline PyObject *cpython_runtime_error(void) { return PyExc_RuntimeError; }
static inline PyObject *cpython_attribute_error(void) { return PyExc_AttributeError; }
static inline PyObject *cpython_not_implemented_error(void) { return PyExc_NotImplementedError; }
static inline PyObject *cpython_import_error(void) { return PyExc_ImportError; }
static inline PyObject *cpython_memory_error(void) { return PyExc_MemoryError; }

/* Object creation that is variadic in C. */
static inline PyObject *cpython_call(PyObject *callable, PyObject *argument)
{
	return PyObject_CallFunctionObjArgs(callable, argument, NULL);
}

/* The definition of a module without state and slots, initialised by a macro. It must outlive the module. */
PyModuleDef *cpython_module_definition(const char *name, const char *doc, PyMethodDef *methods);

/* process_vm_readv(2) and process_vm_writev(2) for this process, which Swift's Glibc module does not have: copies
 * between `here` and `there` where a wrong `there` is EFAULT and no signal. Bytes copied, or -1 with errno. */
ssize_t cpython_copy_in(void *here, const void *there, size_t length);
ssize_t cpython_copy_out(const void *here, void *there, size_t length);

/* A member that holds the list of weak references. */
PyMemberDef *cpython_weak_list_member(void);

#endif
