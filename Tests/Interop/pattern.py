"""The byte pattern of Sources/Memory/PatternFill.swift, for peers in Python."""

import numpy

_STEP = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


def _key(seed):
    key = (seed + _STEP) & _MASK
    key = ((key ^ (key >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    key = ((key ^ (key >> 27)) * 0x94D049BB133111EB) & _MASK
    return key ^ (key >> 31)


def pattern(seed, length):
    """The first `length` bytes of pattern `seed`."""
    words = numpy.arange((length + 7) // 8, dtype=numpy.uint64)
    with numpy.errstate(over="ignore"):
        sums = words * numpy.uint64(_STEP) + numpy.uint64(_key(seed))
    return (sums ^ (sums >> numpy.uint64(32))).view(numpy.uint8)[:length]


def first_mismatch(data, seed):
    """The index of the first byte of `data` (a numpy array of bytes) that is not the pattern's; None if all are."""
    # In pieces, so that a check of 333 MB does not need twice that.
    piece = 1 << 24
    for start in range(0, len(data), piece):
        part = data[start : start + piece]
        words = numpy.arange(start // 8, (start + len(part) + 7) // 8, dtype=numpy.uint64)
        with numpy.errstate(over="ignore"):
            sums = words * numpy.uint64(_STEP) + numpy.uint64(_key(seed))
        expected = (sums ^ (sums >> numpy.uint64(32))).view(numpy.uint8)[: len(part)]
        if not numpy.array_equal(part, expected):
            return start + int(numpy.nonzero(part != expected)[0][0])
    return None
