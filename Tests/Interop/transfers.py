"""Writes and reads of all sizes and batches, probe, warm-up and notification, every byte compared at the far end."""

import time

from peers import PeerFailure
from results import OK, does_not_apply, failed, left_out

SIZES = [1, 4096, 1 << 20, 64 << 20, 333_000_000]
BATCHES = [1, 128, 4096]
# What a peer registers. A batch that is larger goes over and over the same blocks.
REGION = 336_000_000
# How long bytes are waited for that nothing acknowledges.
LATENESS = 60


def size_name(size):
    for unit, name in ((1 << 20, "MiB"), (1 << 10, "KiB")):
        if size % unit == 0:
            return f"{size // unit} {name}"
    return "333 MB" if size == 333_000_000 else f"{size} B"


def expect(reply, wanted):
    return OK if reply == wanted else failed(reply)


class Transfers:
    def __init__(self, results, most):
        self.results = results
        self.most = most
        self.seed = 0

    def attempt(self, key, column, what, body):
        try:
            outcome = body()
        except PeerFailure as failure:
            self.results.record(key, column, what, failed(failure))
            raise
        self.results.record(key, column, what, outcome)

    def control(self, setting, key, initiator, target):
        if initiator.label == "upstream" and not setting.has_probe:
            self.results.record(key, "probe", "", does_not_apply("it has none"))
        else:
            self.attempt(key, "probe", "", lambda: expect(initiator.ask(f"probe {target.name}"), "ok"))
        if setting.has_warmup:
            self.attempt(key, "warm-up", "", lambda: expect(initiator.ask(f"warmup {target.name}"), "ok"))
        self.attempt(key, "notification", "", lambda: self.notification(initiator, target))

    def notification(self, initiator, target):
        reply = initiator.ask(f"write-notify {target.name} {target.address} agent hello-{initiator.label}")
        if reply != "ok":
            return failed(reply)
        deadline = time.monotonic() + 30
        reply = "ok"
        while reply.strip() == "ok" and time.monotonic() < deadline:
            reply = target.ask("notifications")
        return expect(reply, f"ok agent=hello-{initiator.label}")

    def matrix(self, setting, key, initiator, target, sizes=SIZES, batches=BATCHES):
        """All sizes and batches, written and read by `initiator`."""
        for size in sizes:
            for batch in batches:
                what = f"{size_name(size)} x {batch}"
                for opcode in ("write", "read"):
                    if size * batch > self.most:
                        self.results.record(key, opcode, what, left_out(f"over {self.most / (1 << 30):g} GiB"))
                        continue
                    late = opcode == "write" and initiator.label == "upstream" and not setting.acknowledges
                    run = self.late_write if late else self.transfer
                    self.attempt(key, opcode, what, lambda: run(initiator, target, opcode, size, batch))

    def prepare(self, source, sink, span):
        """Fills both ends with different patterns and returns the source's seed."""
        self.seed += 2
        for seed, peer in ((self.seed, source), (self.seed + 1, sink)):
            reply = peer.ask(f"fill {seed} 0 {span} 0")
            if reply != "ok":
                raise PeerFailure(f"fill: {reply}")
        return self.seed

    def transfer(self, initiator, target, opcode, size, batch):
        """One batch. Where the memory has room for fewer blocks, the batch goes over them again and again."""
        source, sink = (initiator, target) if opcode == "write" else (target, initiator)
        places = min(batch, max(1, initiator.length // size))
        span = size * places
        seed = self.prepare(source, sink, span)
        reply = initiator.ask(f"{opcode} {target.name} 0 {target.address} {size} {batch} {places}")
        if reply != f"completed {size * batch}":
            return failed(reply)
        reply = sink.ask(f"check {seed} 0 {span} 0")
        if reply == "ok":
            return OK
        # Whether the transfer or what it was given is wrong.
        return failed(f"bytes differ: {reply}; at the source: {source.ask(f'check {seed} 0 {span} 0')}")

    def late_write(self, initiator, target, opcode, size, batch):
        """Writes that may arrive after they are reported done: waited for, so that none lands in the next row.

        Each goes to a block of its own. A second write to the same block could be on its way after the bytes are right.
        """
        left = batch
        while left > 0:
            count = min(left, max(1, initiator.length // size))
            seed = self.prepare(initiator, target, size * count)
            reply = initiator.ask(f"{opcode} {target.name} 0 {target.address} {size} {count}")
            if reply != f"completed {size * count}":
                return failed(reply)
            deadline = time.monotonic() + LATENESS
            reply = target.ask(f"check {seed} 0 {size * count} 0")
            while reply != "ok" and time.monotonic() < deadline:
                time.sleep(0.02)
                reply = target.ask(f"check {seed} 0 {size * count} 0")
            if reply != "ok":
                return failed(f"bytes differ after {LATENESS} s: {reply}")
            left -= count
        return OK


def run(options, results, setting, transfers, sizes, batches):
    """Both directions of one setting."""
    for moonrail_initiates in (True, False):
        key = setting.key(moonrail_initiates)
        peers = []
        try:
            peers = [setting.ours(options, REGION), setting.upstream(options, REGION)]
            initiator, target = peers if moonrail_initiates else peers[::-1]
            transfers.control(setting, key, initiator, target)
            transfers.matrix(setting, key, initiator, target, sizes, batches)
            if setting.note and not moonrail_initiates:
                results.note(key, setting.note)
        except PeerFailure as failure:
            results.record(key, "write", "and the rest", failed(failure))
        finally:
            for peer in peers:
                peer.close()
