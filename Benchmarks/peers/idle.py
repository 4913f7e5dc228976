"""What an engine that has nothing to do takes of a core, and how soon it is awake."""

import signal
import time

from alone import Resident
from efa import fake, moonrail, place
from programs import HERE, last_object
from turns import at_most, take_turns

NICS = 16
PEERS = 100
# Engines doze off when nothing has happened for a while, in seconds.
SETTLE = 3


def share(process, seconds):
    """Of a core."""
    time.sleep(SETTLE)
    begin, used = time.monotonic(), process.processor_seconds()
    time.sleep(seconds)
    return (process.processor_seconds() - used) / (time.monotonic() - begin) * 100


def measure(options, table, title, python, extra, peers, goal):
    variables = {**fake(options, "tcp;ofi_rxm", NICS), **extra}
    engine = Resident("idle engine", options.work / "idle.log", variables)
    crowd = Resident("peers", options.work / "idle.log", {**variables, "FAKE_EFA_NICS": "1"})
    try:
        names = []
        if peers:
            names = crowd.begin_with([options.ours_python, HERE / "idle_engine.py", "peers", peers]).split()
        engine.begin_with([python, HERE / "idle_engine.py", "idle", *names])
        if peers:
            # They are known; what they do themselves is not what is measured.
            crowd.target.send_signal(signal.SIGSTOP)
        shares = [share(engine, options.idle_seconds) for _ in range(options.rounds)]
        table.add(title, "processor", "a core", shares, [100] * len(shares), "%", goal)
    finally:
        engine.close()
        crowd.close()


def pauses(options, target, python, pause):
    """Microseconds, the median, of writes with a pause before each."""
    text, _ = target.run(
        options.seconds,
        lambda: [python, HERE / "write_latency.py", target.protocol, target.segment, 4096, options.seconds, pause],
    )
    return last_object(text)["p50_us"]


def awake(options, table, title, target):
    """A write that comes to an engine that has dozed off, beside one of many."""
    runs = [lambda pause=pause: pauses(options, target, options.ours_python, pause) for pause in (SETTLE, 0)]
    late, busy = take_turns(runs, options.rounds)
    allowed = [time + 100 for time in busy]
    table.add(title, "p50 of a write", "a busy engine's + 100 µs", late, allowed, "µs", at_most(1))


def run(options, table):
    table.begin("Idle engine")
    where = place("tcp;ofi_rxm", NICS)
    if options.ours_python:
        for peers in (0, PEERS):
            title = f"Moonrail, {peers} peers known, {where}"
            environment = {"MC_LOG_LEVEL": "ERROR"}
            table.attempt(
                title,
                lambda: measure(options, table, title, options.ours_python, environment, peers, at_most(0.01)),
            )  # fmt: skip
        target = moonrail(options, fake(options, "tcp;ofi_rxm", NICS), 16 << 20)
        title = f"4 KiB after {SETTLE} s without work, {where}"
        try:
            table.attempt(title, lambda: awake(options, table, title, target))
        finally:
            target.close()
    else:
        table.remark("Moonrail's is not measured: needs the Python wheel")
    if options.upstream_efa:
        title = f"upstream, 0 peers known, {where}"
        preload = {"LD_PRELOAD": f"{options.fake_efa}/libfakeibv.so"}
        python = f"{options.upstream_efa}/bin/python"
        table.attempt(title, lambda: measure(options, table, title, python, preload, 0, None))
