"""How long one write takes upstream's engine, called from Python.

usage: upstream_latency.py SEGMENT BYTES SECONDS        (with the Python of an environment that has upstream's wheel)
"""

import ctypes
import mmap
import statistics
import sys
import time

from mooncake.engine import TransferEngine


def main():
    segment, length, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    engine = TransferEngine()
    if engine.initialize("127.0.0.1", "P2PHANDSHAKE", "tcp", "") != 0:
        sys.exit("initialize failed")
    memory = mmap.mmap(-1, 1 << 20)
    memory.write(b"\xcc" * len(memory))
    local = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    if engine.register_memory(local, len(memory)) != 0:
        sys.exit("register_memory failed")
    remote = engine.get_first_buffer_address(segment)
    times = []
    end = time.perf_counter() + seconds
    while (begin := time.perf_counter()) < end:
        if engine.transfer_sync_write(segment, local, remote, length) != 0:
            sys.exit("transfer_sync_write failed")
        times.append(time.perf_counter() - begin)
    # The first ones connect.
    print(f"median {statistics.median(times[10:]):.9f} s of {len(times)}", flush=True)
    # Upstream's teardown is not what is measured.
    ctypes.CDLL(None)._exit(0)


main()
