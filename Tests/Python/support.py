"""Memory, engines and processes for the tests."""

import ctypes
import mmap
import os
import pathlib
import subprocess
import sys

import mooncake.engine as engine_module
from mooncake.engine import TransferEngine

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "Tests" / "Interop"))

#: Whether the module under test is upstream's.
IS_UPSTREAM = not hasattr(engine_module, "_Engine")


class Memory:
    """Page-aligned memory that is handed out in pieces."""

    def __init__(self, length):
        self.mapping = mmap.mmap(-1, length)
        self.length = length
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.mapping))
        self.used = 0

    def take(self, length):
        """The address of fresh memory, with a page between it and what was taken before."""
        address = self.address + self.used
        self.used += (length + 4095 & ~4095) + 4096
        assert self.used <= self.length
        return address

    def read(self, address, length):
        offset = address - self.address
        return self.mapping[offset : offset + length]

    def write(self, address, data):
        offset = address - self.address
        self.mapping[offset : offset + len(data)] = data


def started(protocol="tcp"):
    """An engine that is initialized."""
    engine = TransferEngine()
    assert engine.initialize("127.0.0.1", "P2PHANDSHAKE", protocol, "") == 0
    return engine


def name_of(engine):
    return f"127.0.0.1:{engine.get_rpc_port()}"


def run(code, *arguments, timeout=60, environment=None):
    """Runs Python code in another process."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=timeout,
        cwd=HERE,
        env={**os.environ, **(environment or {})},
    )


class Pair:
    """Two engines of this process, each with registered memory of 16 MiB and more that is not registered."""

    def __init__(self):
        self.a, self.b = started(), started()
        self.near, self.far, self.other = Memory(16 << 20), Memory(16 << 20), Memory(64 << 20)
        assert self.a.register_memory(self.near.address, self.near.length) == 0
        assert self.b.register_memory(self.far.address, self.far.length) == 0
        self.peer = name_of(self.b)
