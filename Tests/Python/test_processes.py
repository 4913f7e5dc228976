"""Two Python processes, each with an engine of Moonrail or of upstream; every byte compared."""

import signal
import sys

import pytest

from support import HERE, run

import peers

BUFFER = 16 << 20
SCRIPT = HERE.parent / "Interop" / "upstream_peer.py"


@pytest.fixture
def pair(request, fake_efa, upstream, tmp_path):
    """`first` and `second`: 'ours' or 'upstream'."""
    first, second, protocol = request.param
    made = []

    def make(kind, label):
        interpreter, extra = (sys.executable, {}) if kind == "ours" else upstream[protocol]
        environment = {**(fake_efa if protocol == "efa" else {}), **extra}
        command = [str(interpreter), str(SCRIPT), "--protocol", protocol, "--buffer", str(BUFFER)]
        peer = peers.Peer(f"{kind} {label}", command, environment, tmp_path / f"{label}.log")
        made.append(peer)
        return peer

    yield make(first, "first"), make(second, "second")
    for peer in made:
        peer.close()


PAIRS = [
    (first, second, protocol)
    for protocol in ("tcp", "efa")
    for first, second in (("ours", "ours"), ("ours", "upstream"), ("upstream", "ours"))
]


@pytest.mark.parametrize("pair", PAIRS, indirect=True, ids="-".join)
def test_bytes_arrive_both_ways(pair):
    first, second = pair
    for seed, (block, count) in enumerate(((1, 1), (4096, 128), (1 << 20, 4)), start=1):
        length = block * count
        assert first.ask(f"fill {seed} 0 {length} 0") == "ok"
        assert first.ask(f"write {second.name} 0 {second.address} {block} {count}") == f"completed {length}"
        assert second.ask(f"check {seed} 0 {length} 0") == "ok"
        assert second.ask(f"fill {seed + 10} 0 {length} 0") == "ok"
        assert first.ask(f"read {second.name} 0 {second.address} {block} {count}") == f"completed {length}"
        assert first.ask(f"check {seed + 10} 0 {length} 0") == "ok"


@pytest.mark.parametrize("pair", [("ours", "ours", "efa"), ("ours", "ours", "tcp")], indirect=True, ids="-".join)
def test_a_peer_is_killed_during_writes(pair):
    first, second = pair
    length = 8 << 20
    assert first.ask(f"write {second.name} 0 {second.address} 4096 {length // 4096}") == f"completed {length}"
    second.process.send_signal(signal.SIGSTOP)
    first.tell(f"write {second.name} 0 {second.address} 4096 {length // 4096}")
    second.process.kill()
    second.process.wait()
    assert first.answer(120) == "failed -1"
    # It is over in the whole: the engine goes on with others.
    assert first.ask(f"probe {second.name}").startswith("failed -1")
    own = first.name
    assert first.ask(f"write {own} 0 {first.address + length} 4096 1") == "completed 4096"


QUICK_START = """
from mooncake.engine import TransferEngine
te = TransferEngine()
result = te.initialize('127.0.0.1', 'P2PHANDSHAKE', '{protocol}', '')
print(f'Initialize result: {{result}}')
"""


@pytest.mark.parametrize("protocol", ["tcp", "efa"])
def test_quick_start(protocol, fake_efa):
    done = run(QUICK_START.format(protocol=protocol), environment=fake_efa if protocol == "efa" else None)
    assert done.stdout == "Initialize result: 0\n"
    assert done.returncode == 0
    if protocol == "efa":
        line = next(line for line in done.stderr.splitlines() if "EFA device" in line)
        assert all(word in line for word in ("rdmap0s0", "domain", "fabric", "provider")), line


STANDSTILL = """
import os, signal, subprocess, sys
from support import Memory, name_of, started

if sys.argv[1] == "peer":
    engine, memory = started("efa"), Memory(64 << 20)
    assert engine.register_memory(memory.address, memory.length) == 0
    print(name_of(engine), memory.address, flush=True)
    sys.stdin.read()
    sys.exit()
peer = subprocess.Popen([sys.executable, "-c", sys.argv[2], "peer"], stdin=-1, stdout=-1, text=True)
try:
    name, address = peer.stdout.readline().split()
    engine, memory = started("efa"), Memory(64 << 20)
    assert engine.register_memory(memory.address, memory.length) == 0
    assert engine.transfer_sync_write(name, memory.address, int(address), 4096) == 0
    peer.send_signal(signal.SIGSTOP)
    print("write", engine.transfer_sync_write(name, memory.address, int(address), memory.length))
    # Withdrawing it would have to wait for the NIC, if that had it still.
    print("after", engine.unregister_memory(memory.address), engine.register_memory(memory.address, 4096))
    print("another", started("efa").get_rpc_port() > 0)
finally:
    peer.kill()
"""


def test_a_provider_that_keeps_a_write_is_taken_the_memory_away():
    settings = {"MOONRAIL_PROVIDER": "tcp;ofi_rxm", "MC_TRANSFER_TIMEOUT": "5"}
    done = run(STANDSTILL, "initiator", STANDSTILL, timeout=120, environment=settings)
    assert done.stdout == "write -1\nafter -900 -900\nanother True\n", done.stderr
    assert "The engine is stopped, so that the memory is not used any more" in done.stderr
