"""How long an engine takes to register buffers, one by one and in one batch.

usage: register_buffers.py [verify] COUNT...         (with the Python of an environment that has a wheel)

With `verify` nothing is timed: another engine writes to some of the buffers, and their bytes are compared.
"""

import ctypes
import json
import mmap
import os
import sys
import time

from mooncake.engine import TransferEngine

PAGE = 4096
# How many of the buffers are written to, with `verify`.
CHECKED = 50


def seconds(call):
    begin = time.perf_counter()
    if call() != 0:
        sys.exit("the engine reports a failure")
    return time.perf_counter() - begin


def open_engine():
    engine = TransferEngine()
    if engine.initialize("127.0.0.1", "P2PHANDSHAKE", "efa", "") != 0:
        sys.exit("initialize failed")
    return engine


def check(engine, addresses):
    """Ends the program if a peer's bytes do not arrive in buffers of all over the place."""
    peer, name = open_engine(), f"127.0.0.1:{engine.get_rpc_port()}"
    memory = mmap.mmap(-1, PAGE)
    local = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    if peer.register_memory(local, PAGE) != 0:
        sys.exit("register_memory failed")
    for address in [*addresses[:: max(1, len(addresses) // CHECKED)], addresses[-1]]:
        memory[:] = os.urandom(PAGE)
        if peer.transfer_sync_write(name, local, address, PAGE) != 0:
            sys.exit("transfer_sync_write failed")
        if ctypes.string_at(address, PAGE) != memory[:]:
            sys.exit("what arrived is not what was sent")


def main():
    verifies = sys.argv[1] == "verify"
    counts = [int(word) for word in sys.argv[1 + verifies :]]
    engine = open_engine()
    # A page between two buffers, so that they are no neighbours.
    memory = mmap.mmap(-1, 2 * PAGE * max(counts))
    memory.write(b"\xcc" * len(memory))
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    result = {}
    for count in counts:
        addresses = [start + index * 2 * PAGE for index in range(count)]
        sizes = [PAGE] * count
        times = result[str(count)] = {}
        for name, call in {
            "one by one": lambda: max(abs(engine.register_memory(address, PAGE)) for address in addresses),
            "back one by one": lambda: max(abs(engine.unregister_memory(address)) for address in addresses),
            "batch": lambda: engine.batch_register_memory(addresses, sizes),
            "batch back": lambda: engine.batch_unregister_memory(addresses),
        }.items():
            times[name] = seconds(call)
            if verifies and "back" not in name:
                check(engine, addresses)
    print("\n" + json.dumps(result), flush=True)
    # Upstream's teardown is not what is measured.
    ctypes.CDLL(None)._exit(0)


main()
