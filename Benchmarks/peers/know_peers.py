"""What an engine pays for peers that it knows: memory, and the time of a batch to one of them.

usage: know_peers.py SEGMENT FILE      (with the Python of an environment that has a wheel)

SEGMENT is a real peer; those that FILE names, one a line, are only looked up.
"""

import ctypes
import json
import mmap
import pathlib
import statistics
import sys
import time

from mooncake.engine import TransferEngine

from proof import prove

BLOCK = 4096
BATCH = 128
BATCHES = 100


def resident():
    """Bytes of memory that this process has of its own."""
    fields = pathlib.Path("/proc/self/statm").read_text().split()
    return (int(fields[1]) - int(fields[2])) * mmap.PAGESIZE


def median_batch(engine, segment, local, remote):
    """Microseconds."""
    addresses = [[start + index * BLOCK for index in range(BATCH)] for start in (local, remote)]
    times = []
    for _ in range(BATCHES):
        begin = time.perf_counter()
        if engine.batch_transfer_sync_write(segment, *addresses, [BLOCK] * BATCH) != 0:
            sys.exit("batch_transfer_sync_write failed")
        times.append(time.perf_counter() - begin)
    return statistics.median(times) * 1e6


def main():
    segment, names = sys.argv[1], pathlib.Path(sys.argv[2]).read_text().split()
    engine = TransferEngine()
    if engine.initialize("127.0.0.1", "P2PHANDSHAKE", "efa", "") != 0:
        sys.exit("initialize failed")
    memory = mmap.mmap(-1, BLOCK * BATCH)
    memory.write(b"\xcc" * len(memory))
    local = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    if engine.register_memory(local, len(memory)) != 0 or engine.warmup_efa_segment(segment) != 0:
        sys.exit("the engine does not connect")
    remote = engine.get_first_buffer_address(segment)
    before = median_batch(engine, segment, local, remote)
    memory_before = resident()
    if not all(engine.get_first_buffer_address(name) for name in names):
        sys.exit("a peer has no buffer")
    known = resident() - memory_before
    after = median_batch(engine, segment, local, remote)
    prove(engine, segment, memory, local, remote, len(memory))
    print("\n" + json.dumps({"bytes_per_peer": known / len(names), "before_us": before, "after_us": after}), flush=True)
    # Upstream's teardown is not what is measured.
    ctypes.CDLL(None)._exit(0)


main()
