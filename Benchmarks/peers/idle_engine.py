"""An engine over EFA that knows peers and does nothing; or many engines, to be known.

usage: idle_engine.py peers COUNT | idle [SEGMENT...]        (with the Python of an environment that has a wheel)

Prints `ready`, the engines' names behind it, and stays.
"""

import ctypes
import mmap
import sys
import time

from mooncake.engine import TransferEngine


def start(memory):
    engine = TransferEngine()
    if engine.initialize("127.0.0.1", "P2PHANDSHAKE", "efa", "") != 0:
        sys.exit("initialize failed")
    if engine.register_memory(ctypes.addressof(ctypes.c_char.from_buffer(memory)), len(memory)) != 0:
        sys.exit("register_memory failed")
    return engine


def main():
    memory = mmap.mmap(-1, 1 << 20)
    memory.write(b"\xcc" * len(memory))
    count = int(sys.argv[2]) if sys.argv[1] == "peers" else 1
    engines = [start(memory) for _ in range(count)]
    for segment in sys.argv[2:] if sys.argv[1] == "idle" else []:
        if engines[0].warmup_efa_segment(segment) != 0:
            sys.exit(f"warmup_efa_segment {segment} failed")
    print("\nready", *(f"127.0.0.1:{engine.get_rpc_port()}" for engine in engines), flush=True)
    while True:
        time.sleep(3600)


main()
