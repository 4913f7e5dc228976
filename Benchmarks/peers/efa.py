"""The EFA path: `moonrail bench` beside `transfer_engine_bench` of upstream's EFA wheel, and beside a loop in C.

All of them run on the fake EFA provider, so what is compared is what each adds to the same software provider.
"""

import re
import shutil
import statistics
import subprocess

import pingpong
from programs import FabricLoop, Load, Moonrail, Upstream, size
from turns import at_least, at_most, cost, gigabytes, take_turns

BATCH = 128
BLOCKS = (64 << 10, 1 << 20)
BACKENDS = ("tcp;ofi_rxm", "shm")
NICS = (1, 16)
# Upstream's default, and what its best is looked for among.
DEFAULT_THREADS = 12
CANDIDATES = (1, 2, 4, 12)
SINGLE = 4 << 10


def fake(options, backend, nics):
    """What a process needs to see the fake EFA provider over `backend` with so many NICs."""
    return {
        "FI_PROVIDER": "^psm,psm2", "FI_PROVIDER_PATH": f"{options.fake_efa}/prov", "FAKE_EFA_NICS": str(nics),
        "FAKE_EFA_BACKEND": backend,
    }  # fmt: skip


def place(backend, nics):
    return f"{backend}, {nics} NIC{'s' if nics > 1 else ''}"


def moonrail(options, variables, buffer):
    return Moonrail("moonrail", options.work / "efa-moonrail.log", options.moonrail, buffer, "efa", variables)


def upstream(options, variables, buffer):
    log = options.work / "efa-upstream.log"
    return Upstream("upstream", log, options.upstream_efa, buffer, options.fake_efa, "efa", variables)


def fabric_loop(options, variables, buffer):
    return FabricLoop("C loop", options.work / "efa-loop.log", options.fabric_loop, buffer, variables)


def others(options, variables, buffer):
    """Other builds of Moonrail, or the same one with other settings."""
    return [
        Moonrail(name, options.work / f"efa-other-{index}.log", binary, buffer, "efa", {**variables, **settings})
        for index, (name, binary, settings) in enumerate(options.others)
    ]


def cases(options):
    """Backends and numbers of NICs; the most different ones where time is short."""
    if options.quick:
        return [("tcp;ofi_rxm", 1), ("shm", 16)]
    return [(backend, nics) for backend in BACKENDS for nics in NICS]


def plain_tcp():
    """The provider with reliable datagrams over TCP: libfabric 1.17 calls it `net`, and has `tcp` for connected endpoints alone.
    Later versions have both in `tcp`."""
    known = subprocess.run(["fi_info", "-l"], capture_output=True, text=True, check=False).stdout
    return "net" if re.search(r"^net:", known, re.MULTILINE) else "tcp"


def best_threads(program, load, options):
    """The number of threads with which upstream moves the most, and among how many it was looked for."""
    candidates = CANDIDATES[:2] if options.quick else CANDIDATES
    turns = take_turns(
        [lambda threads=threads: program.measure_whole(load.with_threads(threads)) for threads in candidates],
        options.search_rounds,
    )
    medians = [statistics.median(gigabytes(samples)) for samples in turns]
    return candidates[medians.index(max(medians))], candidates


def throughput(options, table, title, load, programs):
    ours, loop, theirs, *builds = programs
    ours.verify(load)
    small = load.block < 1 << 20
    bound = at_least(0.95 if small else 0.97)
    runs = [("C loop", lambda: loop.measure(load), bound)]
    runs.append(("C loop in batches", lambda: loop.measure(load, "batches"), None))
    if theirs:
        best, candidates = best_threads(theirs, load, options)
        table.remark(f"{title}: upstream is best with {best} thread{'s' if best > 1 else ''} of {candidates}")
        bound = at_least(2 if small else 1.25)
        runs.append((f"upstream, best ({best})", lambda: theirs.measure(load.with_threads(best)), bound))
        if best != DEFAULT_THREADS and not options.quick:
            default, bound = load.with_threads(DEFAULT_THREADS), at_least(10) if small else None
            runs.append((f"upstream, {DEFAULT_THREADS} threads", lambda: theirs.measure(default), bound))
    runs += [(build.name, lambda build=build: build.measure(load), None) for build in builds]
    samples, *compared = take_turns([lambda: ours.measure(load), *(run for _, run, _ in runs)], options.rounds)
    for (name, _, goal), other in zip(runs, compared):
        table.add(title, "bytes per second", name, gigabytes(samples), gigabytes(other), "GB/s", goal)
    for (name, _, _), other in zip(runs, compared):
        table.add(title, "processor s per GB", name, cost(samples), cost(other), "s")


def run_throughput(options, table):
    table.begin("EFA path")
    buffer = max(BLOCKS) * BATCH
    if options.upstream_efa:
        table.remark(
            "upstream's bench connects while its clock runs: with 16 NICs its rate is a longer run's less a shorter's"
        )
    table.remark("the memory of moonrail and of the loop is in huge pages where the kernel has them, upstream's is not")
    plain = []
    if shutil.which("fi_info") is None:
        table.remark("plain TCP is left out: fi_info is missing (libfabric-bin), which says what it is called")
    elif not options.quick:
        plain = [(plain_tcp(), nics) for nics in NICS]
    for backend, nics in cases(options) + plain:
        variables = fake(options, backend, nics)
        programs = [
            moonrail(options, variables, buffer), fabric_loop(options, variables, buffer),
            upstream(options, variables, buffer * DEFAULT_THREADS) if options.upstream_efa else None,
            *others(options, variables, buffer),
        ]  # fmt: skip
        try:
            for block in BLOCKS[:1] if options.quick else BLOCKS:
                for operation in ("write",) if options.quick else ("write", "read"):
                    load = Load(operation, block, BATCH, 1, options.seconds)
                    title = f"{load.name}, {place(backend, nics)}"
                    table.attempt(title, lambda: throughput(options, table, title, load, programs))
        finally:
            close(programs)


def microseconds(samples, percentile):
    return [getattr(sample, percentile) * 1e6 for sample in samples]


def latency(options, table, title, programs, ping):
    load = Load("write", SINGLE, 1, 1, options.seconds)
    ours, loop, theirs, *builds = programs
    ours.verify(load)
    runs = [("C loop", lambda: loop.measure(load))]
    if theirs:
        runs.append(("upstream from Python", lambda: theirs.measure_latency(load)))
    runs += [(build.name, lambda build=build: build.measure(load)) for build in builds]
    if ping:
        runs.append(("fi_pingpong's round trip", ping.measure))
    engine, *compared = take_turns([lambda: ours.measure(load), *(run for _, run in runs)], options.rounds)
    allowed = [time + 1.5 for time in microseconds(compared[0], "p50")]
    table.add(title, "p50", "the C loop's + 1.5 µs", microseconds(engine, "p50"), allowed, "µs", at_most(1))
    own = microseconds(engine, "p50")
    table.add(title, "p99", "its own p50", microseconds(engine, "p99"), own, "µs", at_most(5))
    for (name, _), samples in zip(runs, compared):
        for percentile in ("p50", "p99"):
            if all(getattr(sample, percentile) is not None for sample in samples):
                table.add(
                    title, percentile, name, microseconds(engine, percentile), microseconds(samples, percentile), "µs"
                )


def run_latency(options, table):
    """Small writes on one thread, each submitted when the one before it has ended."""
    table.begin("EFA path, one small write")
    if not pingpong.is_installed():
        table.remark("libfabric's fi_pingpong is missing (libfabric-bin)")
    for backend, nics in cases(options):
        variables = fake(options, backend, nics)
        title = f"write {size(SINGLE)}, {place(backend, nics)}"
        programs = [
            moonrail(options, variables, 1 << 20), fabric_loop(options, variables, 1 << 20),
            upstream(options, variables, 1 << 20) if options.upstream_efa else None,
            *others(options, variables, 1 << 20),
        ]  # fmt: skip
        log = options.work / "efa-pingpong.log"
        ping = pingpong.Pingpong(log, backend, SINGLE) if pingpong.is_installed() else None
        try:
            table.attempt(title, lambda: latency(options, table, title, programs, ping))
        finally:
            close([*programs, ping])


def close(programs):
    for program in programs:
        if program:
            program.close()
