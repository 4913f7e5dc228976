"""How long an engine takes to register buffers, one by one and in one batch.

usage: register_buffers.py COUNT...         (with the Python of an environment that has a wheel)
"""

import ctypes
import json
import mmap
import sys
import time

from mooncake.engine import TransferEngine

PAGE = 4096


def seconds(call):
    begin = time.perf_counter()
    if call() != 0:
        sys.exit("the engine reports a failure")
    return time.perf_counter() - begin


def main():
    counts = [int(word) for word in sys.argv[1:]]
    engine = TransferEngine()
    if engine.initialize("127.0.0.1", "P2PHANDSHAKE", "efa", "") != 0:
        sys.exit("initialize failed")
    # A page between two buffers, so that they are no neighbours.
    memory = mmap.mmap(-1, 2 * PAGE * max(counts))
    memory.write(b"\xcc" * len(memory))
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    result = {}
    for count in counts:
        addresses = [start + index * 2 * PAGE for index in range(count)]
        sizes = [PAGE] * count
        result[str(count)] = {
            "one by one": seconds(lambda: max(abs(engine.register_memory(address, PAGE)) for address in addresses)),
            "back one by one": seconds(lambda: max(abs(engine.unregister_memory(address)) for address in addresses)),
            "batch": seconds(lambda: engine.batch_register_memory(addresses, sizes)),
            "batch back": seconds(lambda: engine.batch_unregister_memory(addresses)),
        }
    print("\n" + json.dumps(result), flush=True)
    # Upstream's teardown is not what is measured.
    ctypes.CDLL(None)._exit(0)


main()
