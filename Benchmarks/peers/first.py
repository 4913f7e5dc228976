"""What the first transfers to a peer pay for: connecting NICs, with warm-up and without."""

import re
import statistics

import control
from efa import cases, close, fake, moonrail, place, upstream
from programs import HERE, ProgramFailed, Sample, last_object
from turns import at_most, take_turns

BLOCK = 64 << 10
BUFFER = 64 << 20
WARM_WRITES = 40


def probe(options, target, warms_up, *flags):
    """`moonrail probe` to a target that nobody has connected to: milliseconds of the warm-up and of each write."""
    target.stop()
    target.begin()
    trip = statistics.median(control.round_trip(target.segment) for _ in range(5)) * 1e3
    command = [
        options.moonrail, "probe", "--protocol=efa", f"--segment_id={target.segment}", "--local_server_name=127.0.0.1",
        f"--warmup={'true' if warms_up else 'false'}", f"--iters={WARM_WRITES + 1}", f"--xfer_size={BLOCK}",
        f"--buffer_size={BUFFER}", *flags,
    ]  # fmt: skip
    text, _ = target.run(WARM_WRITES, command)
    if flags and f"verified: {WARM_WRITES + 1} transfers" not in text:
        raise ProgramFailed("a probe has not verified its writes")
    return details(
        warmup=[float(value) for value in re.findall(r"^warmup: ([\d.]+) ms", text, re.MULTILINE)],
        writes=[float(value) for value in re.findall(r"^submit #\d+: ([\d.]+) ms", text, re.MULTILINE)], trip=trip,
    )  # fmt: skip


def verify(options, targets, warms_up):
    """The same with every byte of every write checked, which takes no part in what is measured."""
    for target in targets:
        if target:
            probe(options, target, warms_up, "--verify")


def probe_upstream(target, warms_up):
    """The same with upstream's engine, driven from Python."""
    target.stop()
    target.begin()
    how = "warmup" if warms_up else "cold"
    command = [target.python, HERE / "first_writes.py", target.segment, BLOCK, WARM_WRITES + 1, how]
    text, _ = target.run(WARM_WRITES, command)
    result = last_object(text)
    return details(warmup=[result["warmup_ms"]], writes=result["writes_ms"], trip=0)


def details(**values):
    if len(values["writes"]) != WARM_WRITES + 1:
        raise ProgramFailed(f"a probe has done {len(values['writes'])} of {WARM_WRITES + 1} writes")
    return Sample(0, 0, details=values)


def warmups(samples):
    return [sample.details["warmup"][0] for sample in samples]


def first(samples):
    return [sample.details["writes"][0] for sample in samples]


def later(samples):
    return [statistics.median(sample.details["writes"][1:]) for sample in samples]


def warm_up(options, table, title, ours, theirs):
    verify(options, [ours, theirs], True)
    runs = [lambda: probe(options, ours, True)]
    if theirs:
        runs += [lambda: probe_upstream(theirs, True), lambda: probe(options, theirs, True)]
    results = take_turns(runs, options.rounds)
    table.add(title, "first write after it", "later ones", first(results[0]), later(results[0]), "ms")
    if theirs:
        table.add(title, "warm-up", "upstream's", warmups(results[0]), warmups(results[1]), "ms", at_most(1 / 25))
        table.add(
            title, "warm-up of an upstream peer", "upstream's own", warmups(results[2]), warmups(results[1]), "ms",
            at_most(1 / 3),
        )  # fmt: skip
    else:
        table.remark(f"{title}: warm-up {statistics.median(warmups(results[0])):.2f} ms; no upstream to compare with")


def first_write(options, table, title, ours, theirs):
    verify(options, [ours], False)
    runs = [lambda: probe(options, ours, False)]
    if theirs:
        runs.append(lambda: probe_upstream(theirs, False))
    engine, *upstreams = take_turns(runs, options.rounds)
    warm = later(engine)
    allowed = [3 * time + sample.details["trip"] for time, sample in zip(warm, engine)]
    table.add(title, "first write", "a warm one", first(engine), warm, "ms")
    table.add(title, "first write", "3 warm ones + a round trip", first(engine), allowed, "ms", at_most(1))
    for samples in upstreams:
        table.add(title, "first write", "upstream's", first(engine), first(samples), "ms")


def each_case(options, table, body, name):
    for backend, nics in [case for case in cases(options) if case[1] > 1]:
        variables = fake(options, backend, nics)
        ours = moonrail(options, variables, BUFFER)
        theirs = upstream(options, variables, BUFFER) if options.upstream_efa else None
        title = f"{name}, {place(backend, nics)}"
        try:
            table.attempt(title, lambda: body(options, table, title, ours, theirs))
        finally:
            close([ours, theirs])


def run(options, table):
    table.begin("First contact")
    each_case(options, table, warm_up, "all NICs to all NICs")
    if not options.quick:
        each_case(options, table, first_write, "64 KiB without warm-up")
