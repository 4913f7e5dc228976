"""Where the memory of an object is: integers, buffers, arrays and tensors."""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple, Optional


class Place(NamedTuple):
    """Memory of this process."""

    address: int
    #: Bytes; None where only the address is known.
    length: Optional[int]
    readonly: bool
    #: What must be kept for the memory to stay.
    owner: Any


class _Buffer(ctypes.Structure):
    """CPython's Py_buffer."""

    _fields_ = [
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.py_object),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    ]


class _Tensor(ctypes.Structure):
    """DLPack's DLTensor, which a DLManagedTensor begins with."""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


_get_buffer = ctypes.pythonapi.PyObject_GetBuffer
_get_buffer.argtypes = [ctypes.py_object, ctypes.POINTER(_Buffer), ctypes.c_int]
_release_buffer = ctypes.pythonapi.PyBuffer_Release
_release_buffer.argtypes = [ctypes.POINTER(_Buffer)]
_capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_capsule_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
_capsule_pointer.restype = ctypes.c_void_p

#: DLPack's numbers of memory that the processor reaches: its own, and what is pinned for CUDA and ROCm.
_HOST_DEVICES = (1, 3, 11)

_DEVICE_MEMORY = "is memory of a device: this version moves host memory only. Copy it to the host first."


def place_of(thing: Any) -> Place:
    """The memory that an argument means.

    Takes an address, whatever has the buffer protocol, and tensors by `__dlpack__`.

    Raises TypeError for anything else, for memory of a device, and for what is not contiguous.
    """
    if isinstance(thing, int):
        return Place(thing, None, False, None)
    if hasattr(thing, "__cuda_array_interface__"):
        raise TypeError(f"{type(thing).__name__} {_DEVICE_MEMORY}")
    try:
        view = memoryview(thing)
    except TypeError:
        view = None
    if view is not None:
        return _place_of_view(view)
    if hasattr(thing, "__dlpack__"):
        return _place_of_tensor(thing)
    if hasattr(thing, "__index__"):
        return Place(thing.__index__(), None, False, None)
    raise TypeError(f"{type(thing).__name__} has no address: give an integer, a buffer, or a tensor with __dlpack__")


def _place_of_view(view: memoryview) -> Place:
    if not view.c_contiguous:
        raise TypeError("the buffer is not contiguous: copy it, or name its parts one by one")
    buffer = _Buffer()
    _get_buffer(view, ctypes.byref(buffer), 0)
    try:
        return Place(buffer.buf or 0, buffer.len, view.readonly, view)
    finally:
        _release_buffer(ctypes.byref(buffer))


def _place_of_tensor(tensor: Any) -> Place:
    device = tensor.__dlpack_device__()
    if int(device[0]) not in _HOST_DEVICES:
        raise TypeError(f"{type(tensor).__name__} {_DEVICE_MEMORY}")
    capsule = tensor.__dlpack__()
    pointer = _capsule_pointer(capsule, b"dltensor")
    described = ctypes.cast(pointer, ctypes.POINTER(_Tensor)).contents
    shape = [described.shape[index] for index in range(described.ndim)]
    expected = 1
    for index in reversed(range(described.ndim)):
        if described.strides and shape[index] != 1 and described.strides[index] != expected:
            raise TypeError("the tensor is not contiguous: call contiguous() on it first")
        expected *= shape[index]
    length = (expected * described.bits * described.lanes + 7) // 8
    return Place((described.data or 0) + described.byte_offset, length, False, tensor)
