"""What calls of `mooncake.engine` cost, Moonrail's beside upstream's, in alternation.

usage: call_overhead.py OURS_PYTHON UPSTREAM_PYTHON [--rounds N]

Each interpreter has one of the two modules, and two engines that talk over TCP. A figure is the time of one call in
microseconds; a ratio is upstream's time by ours in the same round, so that more than 1 means that ours is faster.
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import time

CASES = {
    "status of nothing": "get_batch_transfer_status([])",
    "write 4 KiB": "transfer_sync_write of 4 KiB",
    "write 10,000 x 4 KiB": "batch_transfer_sync_write of 10,000 x 4 KiB",
    "register 1,000": "batch_register_memory of 1,000 buffers, and batch_unregister_memory",
}


def worker():
    """Answers a case's name with the seconds of one call."""
    import ctypes
    import mmap

    from mooncake.engine import TransferEngine

    engines, memories = [], []
    for _ in range(2):
        engine = TransferEngine()
        assert engine.initialize("127.0.0.1", "P2PHANDSHAKE", "tcp", "") == 0
        mapping = mmap.mmap(-1, 41 << 20)
        mapping[:] = bytes(41 << 20)
        address = ctypes.addressof(ctypes.c_char.from_buffer(mapping))
        assert engine.register_memory(address, 41 << 20) == 0
        engines.append(engine)
        memories.append((mapping, address))
    near, far = memories[0][1], memories[1][1]
    engine, peer = engines[0], f"127.0.0.1:{engines[1].get_rpc_port()}"
    locals_ = [near + index * 4096 for index in range(10000)]
    remotes = [far + index * 4096 for index in range(10000)]
    lengths = [4096] * 10000
    other = mmap.mmap(-1, 1000 * 8192)
    other[:] = bytes(1000 * 8192)
    start = ctypes.addressof(ctypes.c_char.from_buffer(other))
    addresses, sizes = [start + index * 8192 for index in range(1000)], [4096] * 1000

    def register():
        return engine.batch_register_memory(addresses, sizes) + engine.batch_unregister_memory(addresses)

    calls = {
        "status of nothing": (lambda: engine.get_batch_transfer_status([]), 20000),
        "write 4 KiB": (lambda: engine.transfer_sync_write(peer, near, far, 4096), 300),
        "write 10,000 x 4 KiB": (lambda: engine.batch_transfer_sync_write(peer, locals_, remotes, lengths), 2),
        "register 1,000": (register, 5),
    }
    print("ready", flush=True)
    for line in sys.stdin:
        call, count = calls[line.strip()]
        begin = time.perf_counter()
        for _ in range(count):
            if call() != 0:
                print("failed", flush=True)
                os._exit(1)
        print((time.perf_counter() - begin) / count, flush=True)
    os._exit(0)


class Side:
    def __init__(self, python):
        # More requests than upstream's queue takes by default.
        environment = {**os.environ, "MC_LOG_LEVEL": "ERROR", "MC_TCP_MAX_QUEUED_TRANSFERS_PER_PEER": "65535"}
        environment.pop("PYTHONPATH", None)
        self.process = subprocess.Popen(
            [python, __file__, "--worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, env=environment,
        )
        self.answer("ready")

    def answer(self, *words):
        line = self.process.stdout.readline().strip()
        if not line or line == "failed" or (words and line not in words):
            raise SystemExit(f"a worker said: {line or 'nothing'}")
        return line

    def time(self, case):
        self.process.stdin.write(case + "\n")
        self.process.stdin.flush()
        return float(self.answer())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ours")
    parser.add_argument("upstream")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    sides = {"ours": Side(options.ours), "upstream": Side(options.upstream)}
    print("| call | ours, us | upstream, us | upstream / ours: median (least to most) |")
    print("|---|---|---|---|")
    for case, words in CASES.items():
        times = {"ours": [], "upstream": []}
        for side in sides.values():
            side.time(case)
        for _ in range(options.rounds):
            for name in random.sample(list(sides), 2):
                times[name].append(sides[name].time(case))
        ratios = [theirs / ours for ours, theirs in zip(times["ours"], times["upstream"])]
        ours, theirs = (statistics.median(times[name]) * 1e6 for name in ("ours", "upstream"))
        spread = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        print(f"| {words} | {ours:.2f} | {theirs:.2f} | {spread} |", flush=True)


if __name__ == "__main__":
    worker() if sys.argv[1:] == ["--worker"] else main()
