"""How long one write takes an engine, called from Python.

usage: write_latency.py PROTOCOL SEGMENT BYTES SECONDS [PAUSE]     (with the Python of an environment that has a wheel)

With a PAUSE it sleeps so many seconds before each of a few writes. After them other bytes go there and back, compared.
"""

import ctypes
import json
import mmap
import sys
import time

from mooncake.engine import TransferEngine

from proof import prove

# The first ones connect.
UNCOUNTED = 100
PAUSED_WRITES = 5


def main():
    protocol, segment, length, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    pause = float(sys.argv[5]) if len(sys.argv) > 5 else 0
    engine = TransferEngine()
    if engine.initialize("127.0.0.1", "P2PHANDSHAKE", protocol, "") != 0:
        sys.exit("initialize failed")
    memory = mmap.mmap(-1, 1 << 20)
    memory.write(b"\xcc" * len(memory))
    local = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    if engine.register_memory(local, len(memory)) != 0:
        sys.exit("register_memory failed")
    if protocol == "efa" and engine.warmup_efa_segment(segment) != 0:
        sys.exit("warmup_efa_segment failed")
    remote = engine.get_first_buffer_address(segment)

    def write():
        begin = time.perf_counter_ns()
        if engine.transfer_sync_write(segment, local, remote, length) != 0:
            sys.exit("transfer_sync_write failed")
        return time.perf_counter_ns() - begin

    times = []
    end = time.perf_counter_ns() + seconds * 1e9
    while time.perf_counter_ns() < end or len(times) < 2 * UNCOUNTED:
        times.append(write())
    counted = times[UNCOUNTED:]
    if pause:
        counted = []
        for _ in range(PAUSED_WRITES):
            time.sleep(pause)
            counted.append(write())
    prove(engine, segment, memory, local, remote, length)
    counted.sort()
    percentiles = {f"p{percent}_us": counted[len(counted) * percent // 100] / 1e3 for percent in (50, 99)}
    print("\n" + json.dumps({"writes": len(counted), **percentiles}), flush=True)
    # Upstream's teardown is not what is measured.
    ctypes.CDLL(None)._exit(0)


main()
