"""A thousand peers with 32 NICs each, known by their descriptors: the memory they take, and what they cost others.

None of them is connected: with libfabric's software providers that would be 32 x 32 x 1000 connections. The batches go
over shm: over TCP a kernel with two cores may have both ends share one of them after a pause, which changes more than
what is looked for.
"""

import control
from crowd import Crowd
from efa import close, fake, moonrail, place
from programs import HERE, last_object
from turns import at_most, take_turns

NICS = 32
PEERS = 1000
BUFFER = 16 << 20


def look_up(target, python, crowd_file):
    text, _ = target.run(60, lambda: [python, HERE / "know_peers.py", target.segment, crowd_file])
    return last_object(text)


def values(samples, name, scale=1):
    return [sample[name] / scale for sample in samples]


def compare(options, table, title, ours):
    ours.begin()
    crowd = Crowd(control.descriptor(ours.segment), PEERS)
    names = options.work / "known-peers.txt"
    names.write_text("\n".join(crowd.names))
    try:
        (engine,) = take_turns([lambda: look_up(ours, options.ours_python, names)], options.rounds)
    finally:
        crowd.close()
    memory = values(engine, "bytes_per_peer", 1024)
    table.add(title, "memory of each", "16 KiB", memory, [16] * len(memory), "KiB", at_most(1))
    before, after = values(engine, "before_us"), values(engine, "after_us")
    table.add(title, "batch of 128 x 4 KiB to another", "before", after, before, "µs", at_most(1.1))


def run(options, table):
    table.begin("Many peers known")
    if not options.ours_python:
        table.remark("not measured: needs the Python wheel (scripts/bench-peers.sh builds it for this part)")
        return
    variables = fake(options, "shm", NICS)
    ours = moonrail(options, variables, BUFFER)
    title = f"{PEERS} peers, {place('shm', NICS)}"
    try:
        table.attempt(title, lambda: compare(options, table, title, ours))
    finally:
        close([ours])
