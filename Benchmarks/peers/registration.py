"""Registering many buffers: both engines from Python, on the fake EFA."""

from alone import Alone
from efa import fake, place
from programs import HERE
from turns import at_most, take_turns

NICS = 1


def engines(options, variables):
    preload = {"LD_PRELOAD": f"{options.fake_efa}/libfakeibv.so", "MC_LOG_LEVEL": "ERROR"}
    log = options.work / "registration.log"
    ours = Alone("moonrail", log, {**variables, "MC_LOG_LEVEL": "ERROR"})
    theirs = Alone("upstream", log, {**variables, **preload})
    return [(ours, options.ours_python), (theirs, f"{options.upstream_efa}/bin/python" if options.upstream_efa else None)]


def compare(options, table, title, programs, few, many):
    runs = [
        lambda program=program, python=python: program.measure(
            [python, HERE / "register_buffers.py", few, many], options.patience
        )
        for program, python in programs
        if python
    ]
    results = take_turns(runs, options.slow_rounds)
    for how in ("one by one", "batch"):
        times = lambda samples, count: [sample[str(count)][how] * 1e3 for sample in samples]
        name = f"{many:,} buffers, {how}, {title}"
        per_buffer = lambda samples, count: [time / count * 1e3 for time in times(samples, count)]
        table.add(
            name, "time of each", f"that of {few:,}", per_buffer(results[0], many), per_buffer(results[0], few), "µs",
            at_most(1.5),
        )  # fmt: skip
        for samples in results[1:]:
            table.add(name, "time", "upstream", times(results[0], many), times(samples, many), "ms", at_most(0.1))


def run(options, table):
    table.begin("Registering buffers")
    if not options.ours_python:
        table.remark("not measured: needs the Python wheel (scripts/bench-peers.sh builds it for this part)")
        return
    few, many = (100, 1000) if options.quick else (1000, 10000)
    variables = fake(options, "tcp;ofi_rxm", NICS)
    title = place("tcp;ofi_rxm", NICS)
    programs = engines(options, variables)
    try:
        table.attempt(title, lambda: compare(options, table, title, programs, few, many))
    finally:
        for program, _ in programs:
            program.close()
