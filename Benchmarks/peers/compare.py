"""Moonrail beside other programs that do the same work on the same host.

How fast a host is changes from minute to minute, and with what else it does. So the programs take turns, one run each
per round, in an order that turns round every time, and a round gives one ratio. What counts is the median of the
ratios; their extremes say how far it can be trusted. The medians of the quantities themselves are printed beside them
and hold for this host at this hour only.
"""

import argparse
import os
import pathlib
import shlex
import signal
import sys

import efa
import first
import idle
import known
import registration
import report
import same_host
import shapes
import tcp
from turns import Table

# In the order of what is asked for most.
PARTS = {
    "efa": efa.run_throughput,
    "latency": efa.run_latency,
    "tcp": tcp.run,
    "warmup": first.run,
    "neighbours": shapes.run_neighbours,
    "striping": shapes.run_striping,
    "threads": shapes.run_threads,
    "registration": registration.run,
    "idle": idle.run,
    "known": known.run,
    "same-host": same_host.run,
}
# What a newcomer sees within two minutes.
QUICK = ("efa", "latency", "warmup")


def other(text):
    """[NAME=VALUE...] BINARY, or only settings, for the same binary."""
    words = shlex.split(text)
    settings = dict(word.split("=", 1) for word in words if "=" in word)
    binaries = [word for word in words if "=" not in word]
    if len(binaries) > 1:
        raise argparse.ArgumentTypeError(f"{text}: one binary at most")
    name = " ".join(word for word in words if "=" in word) or "other build"
    return name, binaries[0] if binaries else None, settings


def parts(text):
    names = text.split(",")
    for name in names:
        if name not in PARTS:
            raise argparse.ArgumentTypeError(f"{name}: there are {', '.join(PARTS)}")
    return names


def arguments():
    parser = argparse.ArgumentParser(
        # The script looks for some of the options as well, by their whole names.
        prog="scripts/bench-peers.sh", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )  # fmt: skip
    parser.add_argument("--parts", type=parts, help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--quick", action="store_true", help=f"a first look: {', '.join(QUICK)}; few loads, few rounds")
    parser.add_argument("--only", default="", help="loads whose title has this in it, as 'read 64 KiB'")
    parser.add_argument("--rounds", type=int, help="default: 7, or 3 with --quick")
    parser.add_argument("--seconds", type=int, help="of one run; default: 2, or 1 with --quick")
    parser.add_argument(
        "--other", action="append", default=[], type=other, metavar="'[NAME=VALUE...] [BINARY]'",
        help="compare with another build of moonrail, or with this one under other settings",
    )  # fmt: skip
    parser.add_argument(
        "--first", action="store_true", help="as root: put what is measured before everything else that this host does"
    )
    parser.add_argument(
        "--no-upstream", action="store_true", help="leave upstream out: more rounds beside the rest in the same time"
    )
    hidden = parser.add_argument_group("set by scripts/bench-peers.sh")
    hidden.add_argument("--moonrail", required=True)
    hidden.add_argument("--work", required=True, type=pathlib.Path)
    hidden.add_argument("--fake-efa", required=True)
    hidden.add_argument("--fabric-loop", required=True)
    hidden.add_argument("--memory-loop", required=True)
    hidden.add_argument("--ours-python", help="a Python that has Moonrail's wheel")
    hidden.add_argument("--upstream-tcp", help="a virtual environment with upstream's wheel")
    hidden.add_argument("--upstream-efa", help="a virtual environment with upstream's EFA wheel")
    hidden.add_argument("--iperf", action="store_true")
    options = parser.parse_args()
    options.parts = options.parts or list(QUICK if options.quick else PARTS)
    options.rounds = options.rounds or (3 if options.quick else 7)
    options.seconds = options.seconds or (1 if options.quick else 2)
    options.search_rounds = 1 if options.rounds <= 3 else 3
    options.idle_seconds = 3 if options.quick else 10
    options.patience = 600
    options.others = [(name, binary or options.moonrail, settings) for name, binary, settings in options.other]
    return options


def go_first():
    """Before other sessions of this host, and before other processes of this one."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -20)
        pathlib.Path("/proc/self/autogroup").write_text("-20")
    except FileNotFoundError:
        pass
    except PermissionError:
        sys.exit("error: --first needs root")


def stop(*_):
    raise KeyboardInterrupt


def main():
    # Also where the shell has it ignored, as for what it runs in the background: targets are ended in any case.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    options = arguments()
    if options.first:
        go_first()
    for pattern in ("*.log", "peers*.svg"):
        for stale in options.work.glob(pattern):
            stale.unlink()
    table, host = Table(options.only), report.Host(options)
    try:
        for part in options.parts:
            PARTS[part](options, table)
            report.write(options, table, host)
    except KeyboardInterrupt:
        report.write(options, table, host)
        sys.exit("stopped; what was measured is in the report")


main()
