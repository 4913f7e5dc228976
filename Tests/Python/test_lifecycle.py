"""Threads, forks, exits, and what is left of an engine that has gone."""

import gc
import os
import subprocess
import sys
import threading
import time

import pytest

from support import HERE, Memory, Pair, TransferEngine, name_of, run, started

#: Engines to make and drop; 10,000 by the variable.
CYCLES = int(os.environ.get("MOONRAIL_TEST_CYCLES", "300"))


def test_64_threads_submit_at_once():
    pair = Pair()
    pieces = [(pair.near.take(4096), pair.far.take(4096)) for _ in range(64)]
    begin = threading.Barrier(64)
    codes = []

    def write(index):
        near, far = pieces[index]
        pair.near.write(near, bytes([index]) * 4096)
        begin.wait(30)
        for _ in range(50):
            both = [near, near + 2048], [far, far + 2048], [2048, 2048]
            codes.append(pair.a.batch_transfer_sync_write(pair.peer, *both))

    threads = [threading.Thread(target=write, args=(index,)) for index in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert codes == [0] * (64 * 50)
    for index, (_, far) in enumerate(pieces):
        assert pair.far.read(far, 4096) == bytes([index]) * 4096


def test_8_engines_in_one_process():
    engines = [started() for _ in range(8)]
    memories = [Memory(1 << 20) for _ in engines]
    for index, (engine, memory) in enumerate(zip(engines, memories)):
        assert engine.register_memory(memory.address, memory.length) == 0
        memory.write(memory.address, bytes([index + 1]) * 64)
    for index, engine in enumerate(engines):
        target = (index + 1) % 8
        source, there = memories[index].address, memories[target].address + 4096
        assert engine.transfer_sync_write(name_of(engines[target]), source, there, 64) == 0
    for index, memory in enumerate(memories):
        assert memory.read(memory.address + 4096, 64) == bytes([(index - 1) % 8 + 1]) * 64


def test_the_interpreter_runs_on_during_a_transfer():
    """A thread that waits for a peer that does not answer must not hold the others up."""
    import socket

    pair = Pair()
    near = pair.near.take(8)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        codes = []
        name = f"127.0.0.1:{silent.getsockname()[1]}"
        waiting = threading.Thread(target=lambda: codes.append(pair.a.transfer_sync_write(name, near, 1, 8)))
        waiting.start()
        connection, _ = silent.accept()
        # The thread is in the engine, and this one runs.
        assert waiting.is_alive()
        assert pair.a.transfer_sync_write(pair.peer, near, pair.far.take(8), 8) == 0
        connection.close()
        waiting.join(60)
        assert codes == [-1]


def test_a_batch_of_100000_entries():
    pair = Pair()
    near, far = pair.near.take(800000), pair.far.take(800000)
    data = os.urandom(800000)
    pair.near.write(near, data)
    offsets = range(0, 800000, 8)
    code = pair.a.batch_transfer_sync_write(
        pair.peer, [near + one for one in offsets], [far + one for one in offsets], [8] * len(offsets)
    )
    assert code == 0
    assert pair.far.read(far, 800000) == data


def test_a_batch_is_done_when_all_of_it_is():
    """Upstream looks at the first entry only."""
    pair = Pair()
    near, far = pair.near.take(8 << 20), pair.far.take(8 << 20)
    data = os.urandom(1 << 20) * 8
    pair.far.write(far, data)
    number = pair.a.batch_transfer_async_read(pair.peer, [near, near + 8], [far, far + 8], [8, len(data) - 8])
    code = 0
    while code == 0:
        code = pair.a.transfer_check_status(number)
    assert code == 1
    assert pair.near.read(near, len(data)) == data
    assert pair.a.transfer_check_status(number) == -1


def test_a_batch_with_a_bad_entry_fails_as_a_whole():
    pair = Pair()
    near, far = pair.near.take(64), pair.far.take(64)
    assert pair.a.batch_transfer_sync_write(pair.peer, [near, near], [far, 4096], [8, 8]) == -1
    assert pair.a.transfer_sync_write(pair.peer, near, far, 8) == 0


def test_an_engine_goes_with_transfers_in_flight():
    pair = Pair()
    near, far = pair.near.take(8 << 20), pair.far.take(8 << 20)
    number = pair.a.batch_transfer_async_write(pair.peer, [near], [far], [8 << 20])
    assert number > 0
    pair.a = None
    gc.collect()
    assert started().send_probe(pair.peer) == 0


def test_a_class_can_be_derived():
    class Derived(TransferEngine):
        pass

    engine = Derived()
    engine.note = "x"
    assert engine.initialize("127.0.0.1", "P2PHANDSHAKE", "tcp", "") == 0
    assert engine.get_rpc_port() > 0
    del engine


FORKED = """
import os, sys, signal
from support import Pair, Memory, started, name_of
pair = Pair()
near, far = pair.near.take(64), pair.far.take(64)
assert pair.a.transfer_sync_write(pair.peer, near, far, 64) == 0
child = os.fork()
if child == 0:
    signal.alarm(40)
    codes = [
        pair.a.transfer_sync_write(pair.peer, near, far, 64),
        pair.a.register_memory(pair.other.address, 64),
        pair.a.batch_transfer_async_read(pair.peer, [near], [far], [64]),
        pair.a.send_probe(pair.peer),
        pair.a.get_batch_transfer_status([1 << 17 | 1]),
        pair.a.get_rpc_port(),
    ]
    assert codes[2] == 0 and all(code < 0 for code in codes[:2] + codes[3:]), codes
    fresh = started()
    memory = Memory(1 << 20)
    assert fresh.register_memory(memory.address, memory.length) == 0
    memory.write(memory.address, b"from a child" + bytes(52))
    assert fresh.transfer_sync_write(pair.peer, memory.address, far, 64) == 0
    del pair, fresh
    print("child done", flush=True)
    sys.exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert pair.far.read(far, 12) == b"from a child"
assert pair.a.transfer_sync_write(pair.peer, near, far, 64) == 0
print("parent done", flush=True)
"""


def test_fork():
    done = run(FORKED)
    assert done.stdout.split("\n")[:2] == ["child done", "parent done"], done.stderr
    assert done.returncode == 0
    assert "forked" in done.stderr


FORK_SERVER = """
import multiprocessing
from support import Memory, started, name_of

def work(name, address, number):
    engine = started()
    memory = Memory(8192)
    assert engine.register_memory(memory.address, memory.length) == 0
    memory.write(memory.address, bytes([number]) * 64)
    return engine.transfer_sync_write(name, memory.address, address + 64 * number, 64)

if __name__ == "__main__":
    for method in ("fork", "forkserver", "spawn"):
        engine, memory = started(), Memory(1 << 20)
        assert engine.register_memory(memory.address, memory.length) == 0
        with multiprocessing.get_context(method).Pool(3) as pool:
            codes = pool.starmap(work, [(name_of(engine), memory.address, number) for number in range(4)])
        assert codes == [0] * 4, codes
        assert memory.read(memory.address, 256) == b"".join(bytes([number]) * 64 for number in range(4))
        print(method, "done", flush=True)
"""


def test_multiprocessing(tmp_path):
    script = tmp_path / "pools.py"
    script.write_text(FORK_SERVER)
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=120,
        env={**os.environ, "PYTHONPATH": f"{HERE}:{os.environ.get('PYTHONPATH', '')}"},
    )
    assert done.stdout.split("\n")[:3] == ["fork done", "forkserver done", "spawn done"], done.stderr


EXIT = """
import threading, socket, sys
from support import Pair
pair = Pair()
near, far = pair.near.take(8 << 20), pair.far.take(8 << 20)
{}
print("end", flush=True)
"""

EXITS = {
    "engines alive": "",
    "a batch in flight": "pair.a.batch_transfer_async_write(pair.peer, [near], [far], [8 << 20])",
    "a thread in the engine": """
silent = socket.socket(); silent.bind(("127.0.0.1", 0)); silent.listen()
name = f"127.0.0.1:{silent.getsockname()[1]}"
threading.Thread(target=lambda: pair.a.transfer_sync_write(name, near, 1, 8), daemon=True).start()
silent.accept()""",
    "a cycle of references": "pair.cycle = pair; engine = pair.a; del pair",
    "by an exception": "print('end', flush=True); raise SystemExit(0)",
}


@pytest.mark.parametrize("how", EXITS, ids=lambda how: how.replace(" ", "-"))
def test_exit(how):
    done = run(EXIT.format(EXITS[how]))
    assert done.stdout == "end\n"
    assert done.returncode == 0, done.stderr


def counts():
    """Threads, open files, and kilobytes of this process."""
    with open("/proc/self/status") as status:
        fields = dict(line.split(":", 1) for line in status)
    return int(fields["Threads"]), len(os.listdir("/proc/self/fd")), int(fields["VmRSS"].split()[0])


def cycle():
    engine = started()
    memory = engine.allocate_managed_buffer(8192)
    assert memory > 0
    own = name_of(engine)
    assert engine.transfer_sync_write(own, memory, memory + 4096, 4096) == 0


def settled(limit):
    """The counts once they are within `limit`, or what they are after some seconds: threads end a little later."""
    deadline = time.monotonic() + 10
    while True:
        now = counts()
        if now[0] <= limit[0] and now[1] <= limit[1] or time.monotonic() > deadline:
            return now


def test_engines_leave_nothing_behind():
    for _ in range(50):
        cycle()
    gc.collect()
    before = settled((1, 0))
    for _ in range(CYCLES):
        cycle()
    gc.collect()
    after = settled(before)
    assert after[0] <= before[0], "threads"
    assert after[1] <= before[1], "files"
    # The allocator's own ups and downs; an engine that stayed would be more than 100 KB.
    assert after[2] - before[2] < max(8192, CYCLES * 4), f"{before[2]} KB before, {after[2]} KB after"
