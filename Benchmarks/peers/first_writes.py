"""What upstream's engine takes to connect to a peer over EFA, and for its first writes.

usage: first_writes.py SEGMENT BYTES WRITES warmup|cold      (with the Python of an environment that has the wheel)
"""

import ctypes
import json
import mmap
import sys
import time

from mooncake.engine import TransferEngine

from proof import prove


def milliseconds(call):
    begin = time.perf_counter()
    if call() != 0:
        sys.exit("the engine reports a failure")
    return (time.perf_counter() - begin) * 1e3


def main():
    segment, length, count, how = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    engine = TransferEngine()
    if engine.initialize("127.0.0.1", "P2PHANDSHAKE", "efa", "") != 0:
        sys.exit("initialize failed")
    memory = mmap.mmap(-1, max(length, 1 << 20))
    memory.write(b"\xcc" * len(memory))
    local = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    if engine.register_memory(local, len(memory)) != 0:
        sys.exit("register_memory failed")
    # Opens the segment: the descriptor is there when the clock starts, as it is in the probe of both engines.
    remote = engine.get_first_buffer_address(segment)
    warmup = milliseconds(lambda: engine.warmup_efa_segment(segment)) if how == "warmup" else 0
    writes = [milliseconds(lambda: engine.transfer_sync_write(segment, local, remote, length)) for _ in range(count)]
    prove(engine, segment, memory, local, remote, length)
    print("\n" + json.dumps({"warmup_ms": warmup, "writes_ms": writes}), flush=True)
    # Upstream's teardown is not what is measured.
    ctypes.CDLL(None)._exit(0)


main()
