"""Moonrail beside other programs that do the same work on the same host, over TCP on loopback.

usage: compare.py --moonrail BINARY --work DIRECTORY [--upstream ENVIRONMENT --prefault LIBRARY] [--iperf]
                  [--other '[NAME=VALUE...] BINARY'] [--rounds N] [--seconds N] [--only TEXT] [--table FILE]

How fast a host is changes from minute to minute, and with what else it does. So the programs take turns, one run each
per round, in an order that turns round every time, and a round gives one ratio. What is printed is the median of the
ratios and their extremes; a single number of bytes per second is printed nowhere, because it would mean nothing.

--other compares with another build of Moonrail, or with the same under other settings.
"""

import argparse
import dataclasses
import pathlib
import shlex
import statistics
import sys

from programs import Iperf, Load, Moonrail, NothingMoved, Upstream

BATCH = 32
BLOCKS = (64 << 10, 1 << 20)
THREADS = (1, 4)
BUFFER = max(BLOCKS) * BATCH * max(THREADS)
SMALL = 4 << 10


@dataclasses.dataclass
class Row:
    """Ratios of one quantity, Moonrail's over the other's."""

    load: str
    quantity: str
    other: str
    ratios: list

    def cells(self):
        median, least, most = statistics.median(self.ratios), min(self.ratios), max(self.ratios)
        return [self.load, f"{self.quantity}, moonrail / {self.other}", f"{median:.2f}", f"{least:.2f}..{most:.2f}",
                str(len(self.ratios))]  # fmt: skip


class Table:
    HEAD = ["load", "what", "median ratio", "min..max", "n"]

    def __init__(self):
        self.rows = []

    def add(self, row):
        self.rows.append(row)
        load, what, median, spread, count = row.cells()
        print(f"{load:28} {what:44} {median:>6}  {spread:14} n={count}", flush=True)

    def markdown(self):
        lines = [self.HEAD, ["---"] * len(self.HEAD), *(row.cells() for row in self.rows)]
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def take_turns(measurements, rounds):
    """Calls each of `measurements` once per round; returns a list of results for each, in the order of rounds."""
    results = [[] for _ in measurements]
    order = list(range(len(measurements)))
    left, failures = rounds, 0
    while left > 0:
        try:
            results_of_round = {index: measurements[index]() for index in order}
        except NothingMoved:
            failures += 1
            if failures > rounds:
                sys.exit("run after run moves nothing: this host is too busy to measure anything")
            continue
        for index, result in results_of_round.items():
            results[index].append(result)
        order.reverse()
        left -= 1
    return results


def ratios(ours, theirs, quantity):
    return [quantity(our) / quantity(their) for our, their in zip(ours, theirs)]


def throughput(table, load, moonrail, others, rounds):
    ours, *rest = take_turns([lambda program=program: program.measure(load) for program in (moonrail, *others)], rounds)
    for other, theirs in zip(others, rest):
        for what, quantity in (
            ("bytes per second", lambda sample: sample.bytes_per_second),
            ("processor s per GB", lambda sample: sample.processor_seconds_per_gb),
        ):
            table.add(Row(str(load), what, other.name, ratios(ours, theirs, quantity)))


def latency(table, load, moonrail, others, rounds):
    """The time of one small write: the median, and the mean that follows from how many were done."""
    for other in others:
        if isinstance(other, Iperf):
            continue
        measurements = [lambda: moonrail.measure(load), lambda: other.measure(load)]
        if isinstance(other, Upstream):
            measurements.append(lambda: other.measure_latency(load))
        ours, theirs, *medians = take_turns(measurements, rounds)
        mean = ratios(ours, theirs, lambda sample: 1 / sample.bytes_per_second)
        table.add(Row(str(load), "mean time", other.name, mean))
        other_medians = medians[0] if medians else [their.median_latency for their in theirs]
        table.add(
            Row(str(load), "median time", other.name, [a.median_latency / b for a, b in zip(ours, other_medians)])
        )


def another(text, log):
    *settings, binary = shlex.split(text)
    name = " ".join(settings) or "other build"
    return Moonrail(name, log, binary, BUFFER, dict(setting.split("=", 1) for setting in settings))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--moonrail", required=True)
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--upstream", help="a virtual environment with upstream's wheel")
    parser.add_argument("--prefault", help="libprefault.so of Tests/FakeEFA")
    parser.add_argument("--iperf", action="store_true")
    parser.add_argument("--other", action="append", default=[])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=2, help="of one run")
    parser.add_argument("--only", default="", help="loads whose name begins with this")
    parser.add_argument("--table", type=pathlib.Path)
    options = parser.parse_args()
    table, programs = Table(), []
    try:
        programs.append(Moonrail("moonrail", options.work / "moonrail.log", options.moonrail, BUFFER))
        if options.upstream:
            log = options.work / "upstream.log"
            programs.append(Upstream("upstream", log, options.upstream, BUFFER, options.prefault))
        if options.iperf:
            programs.append(Iperf(options.work / "iperf3.log"))
        for index, text in enumerate(options.other):
            programs.append(another(text, options.work / f"other-{index}.log"))
        moonrail, *others = programs
        if not others:
            sys.exit("there is nothing to compare with: give --upstream, --iperf or --other")
        for operation in ("write", "read"):
            for block in BLOCKS:
                for threads in THREADS:
                    load = Load(operation, block, BATCH, threads, options.seconds)
                    if str(load).startswith(options.only):
                        throughput(table, load, moonrail, others, options.rounds)
        load = Load("write", SMALL, 1, 1, options.seconds)
        if str(load).startswith(options.only):
            latency(table, load, moonrail, others, options.rounds)
    finally:
        for program in programs:
            program.close()
    if options.table:
        options.table.write_text(table.markdown())


main()
