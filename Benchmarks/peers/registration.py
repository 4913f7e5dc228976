"""Registering many buffers: both engines from Python, on the fake EFA."""

from alone import Alone
from efa import fake, place
from programs import HERE
from turns import at_most, take_turns

NICS = 1
# By default upstream starts a thread for each buffer of a batch; ten thousand of them stop a small host.
UPSTREAM_THREADS = 16


def engines(options, variables):
    preload = {
        "LD_PRELOAD": f"{options.fake_efa}/libfakeibv.so", "MC_LOG_LEVEL": "ERROR",
        "MC_MAX_CONCURRENT_REG_MR": str(UPSTREAM_THREADS),
    }  # fmt: skip
    log = options.work / "registration.log"
    ours = Alone("moonrail", log, {**variables, "MC_LOG_LEVEL": "ERROR"})
    theirs = Alone("upstream", log, {**variables, **preload})
    python = f"{options.upstream_efa}/bin/python" if options.upstream_efa else None
    return [(ours, options.ours_python), (theirs, python)]


def each(samples, count, how):
    """Microseconds for a buffer, of each sample."""
    return [sample[str(count)][how] / count * 1e6 for sample in samples]


def compare(options, table, title, programs, few, many):
    runs = [
        lambda program=program, python=python: program.measure(
            [python, HERE / "register_buffers.py", few, many], options.patience
        )
        for program, python in programs
        if python
    ]
    ours, python = programs[0]
    ours.measure([python, HERE / "register_buffers.py", "verify", few, many], options.patience)
    results = take_turns(runs, options.rounds)
    for how in ("one by one", "batch"):
        name, ours = f"{many:,} buffers, {how}, {title}", results[0]
        table.add(
            name, "time of each", f"that of {few:,}", each(ours, many, how), each(ours, few, how), "µs", at_most(1.5)
        )
        for theirs in results[1:]:
            table.add(
                name, "time of each", "upstream's", each(ours, many, how), each(theirs, many, how), "µs", at_most(0.1)
            )


def run(options, table):
    table.begin("Registering buffers")
    if not options.ours_python:
        table.remark("not measured: needs the Python wheel (scripts/bench-peers.sh builds it for this part)")
        return
    few, many = (100, 1000) if options.quick else (1000, 10000)
    variables = fake(options, "tcp;ofi_rxm", NICS)
    title = place("tcp;ofi_rxm", NICS)
    programs = engines(options, variables)
    limit = f"MC_MAX_CONCURRENT_REG_MR={UPSTREAM_THREADS}"
    table.remark(f"upstream runs with {limit}; by default it starts a thread for each buffer of a batch")
    try:
        table.attempt(title, lambda: compare(options, table, title, programs, few, many))
    finally:
        for program, _ in programs:
            program.close()
