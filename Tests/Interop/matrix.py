"""Who talks to whom over what: Moonrail and the upstream wheel in both directions, every byte compared at the far end.

usage: matrix.py --peer BINARY --work DIRECTORY [--efa PYTHON --fake-efa DIRECTORY] [--tcp PYTHON] [--tcp-old PYTHON]
                 [--quick] [--table FILE]

Run by scripts/interop.sh, which makes the virtual environments. Exits with 1 if anything fails.
"""

import argparse
import pathlib
import sys

from peers import PeerFailure, fake_efa, ours, upstream

SIZES = [1, 4096, 1 << 20, 64 << 20, 333_000_000]
BATCHES = [1, 128, 4096]
# What a peer registers: the largest block, and room for a destination of reads beside it.
REGION = 336_000_000
# A row that moves more than its region does so over and over the same memory; one that moves more than this is left out.
MOST = 4 << 30


def size_name(size):
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if size % unit == 0:
            return f"{size // unit} {name}"
    return "333 MB" if size == 333_000_000 else f"{size} B"


class Matrix:
    def __init__(self, quick):
        self.rows = []
        self.failures = 0
        self.sizes = [1, 4096, 1 << 20] if quick else SIZES
        self.batches = [1, 128] if quick else BATCHES

    def record(self, setting, what, outcome):
        good = outcome == "ok" or outcome.startswith("not run")
        self.failures += 0 if good else 1
        self.rows.append((setting, what, outcome))
        print(f"{setting:44} {what:34} {outcome}", flush=True)

    def attempt(self, setting, what, body):
        try:
            outcome = body()
        except PeerFailure as failure:
            self.record(setting, what, f"FAILED: {failure}")
            raise
        self.record(setting, what, outcome)

    def transfers(self, setting, initiator, target):
        """All sizes and batches, written and read by `initiator`."""
        seed = 1
        for size in self.sizes:
            for batch in self.batches:
                what = f"{size_name(size)} x {batch}"
                if size * batch > MOST:
                    for opcode in ("write", "read"):
                        self.record(setting, f"{opcode} {what}", f"not run: over {MOST >> 30} GiB")
                    continue
                fitting = max(1, min(batch, REGION // size))
                for opcode in ("write", "read"):
                    seed += 1
                    self.attempt(
                        setting,
                        f"{opcode} {what}",
                        lambda: self.transfer(initiator, target, opcode, size, batch, fitting, seed),
                    )

    def transfer(self, initiator, target, opcode, size, batch, fitting, seed):
        source, sink = (initiator, target) if opcode == "write" else (target, initiator)
        span = size * fitting
        for command, peer in ((f"fill {seed} 0 {span} 0", source), (f"fill {seed + 1000} 0 {span} 0", sink)):
            reply = peer.ask(command)
            if reply != "ok":
                return f"FAILED: {command}: {reply}"
        left = batch
        while left > 0:
            count = min(left, fitting)
            reply = initiator.ask(f"{opcode} {target.name} 0 {target.address} {size} {count}")
            if reply != f"completed {size * count}":
                return f"FAILED: {reply}"
            left -= count
        reply = sink.ask(f"check {seed} 0 {span} 0")
        return "ok" if reply == "ok" else f"FAILED: bytes differ: {reply}"

    def control(self, setting, initiator, target, warmup):
        def expect(reply, wanted):
            return "ok" if reply == wanted else f"FAILED: {reply}"

        self.attempt(setting, "probe", lambda: expect(initiator.ask(f"probe {target.name}"), "ok"))
        if warmup:
            self.attempt(setting, "warm-up", lambda: expect(initiator.ask(f"warmup {target.name}"), "ok"))

        def notification():
            reply = initiator.ask(f"write-notify {target.name} {target.address} agent hello-{initiator.label}")
            if reply != "ok":
                return f"FAILED: {reply}"
            for _ in range(100):
                reply = target.ask("notifications")
                if reply != "ok " and reply != "ok":
                    break
            return expect(reply, f"ok agent=hello-{initiator.label}")

        self.attempt(setting, "notification", notification)

    def pair(self, protocol, version, make_ours, make_upstream, warmup):
        for direction in ("moonrail initiates", "upstream initiates"):
            setting = f"{protocol}, upstream {version}, {direction}"
            peers = []
            try:
                peers = [make_ours(), make_upstream()]
                initiator, target = peers if direction == "moonrail initiates" else peers[::-1]
                self.control(setting, initiator, target, warmup)
                self.transfers(setting, initiator, target)
            except PeerFailure as failure:
                self.record(setting, "the rest", f"FAILED: {failure}")
            finally:
                for peer in peers:
                    peer.close()

    def table(self):
        """One row per setting and kind of transfer, in Markdown."""
        lines = ["| protocol, peer, direction | what | outcome |", "|---|---|---|"]
        lines += [f"| {setting} | {what} | {outcome} |" for setting, what, outcome in self.rows]
        return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--fake-efa")
    parser.add_argument("--efa")
    parser.add_argument("--tcp")
    parser.add_argument("--tcp-old")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--table")
    options = parser.parse_args()
    work = pathlib.Path(options.work)
    matrix = Matrix(options.quick)
    if options.efa:
        environment = fake_efa(options.fake_efa, 4)
        preload = {**environment, "LD_PRELOAD": f"{options.fake_efa}/libfakeibv.so"}
        matrix.pair(
            "efa (fake, 4 NICs)",
            "0.3.13.post1",
            lambda: ours(options.peer, "efa", REGION, work / "ours-efa.log", environment),
            lambda: upstream(options.efa, "efa", REGION, work / "upstream-efa.log", preload),
            warmup=True,
        )
    for python, version in ((options.tcp, "0.3.13.post1"), (options.tcp_old, "0.3.10.post2")):
        if python:
            forced = {"MC_FORCE_TCP": "1"}
            matrix.pair(
                "tcp",
                version,
                lambda: ours(options.peer, "tcp", REGION, work / "ours-tcp.log"),
                lambda: upstream(python, "tcp", REGION, work / f"upstream-tcp-{version}.log", forced),
                warmup=False,
            )
    if options.table:
        pathlib.Path(options.table).write_text(matrix.table())
    passed = sum(1 for row in matrix.rows if row[2] == "ok")
    skipped = sum(1 for row in matrix.rows if row[2].startswith("not run"))
    print(f"{passed} passed, {matrix.failures} failed, {skipped} skipped")
    sys.exit(1 if matrix.failures else 0)


main()
