"""Upstream's engine in a process of its own, told what to do line by line: the same commands as Tests/Peer.

usage: upstream_peer.py --protocol tcp|efa [--host HOST] [--buffer BYTES] [--metadata SERVER] [--late]
"""

import argparse
import ctypes
import mmap
import sys
import time

import numpy
from mooncake.engine import TransferEngine, TransferNotify, TransferOpcode

from pattern import first_mismatch, pattern


def say(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Peer:
    def __init__(self, options):
        self.engine = TransferEngine()
        code = self.engine.initialize(options.host, options.metadata, options.protocol, "")
        if code != 0:
            raise SystemExit(f"initialize: {code}")
        self.length = options.buffer
        self.late = options.late
        # Page-aligned and touched, so that its location can be told.
        self.mapping = mmap.mmap(-1, self.length)
        self.bytes = numpy.frombuffer(self.mapping, dtype=numpy.uint8)
        self.bytes[:] = 0
        self.address = self.bytes.ctypes.data
        code = self.engine.register_memory(self.address, self.length)
        if code != 0:
            raise SystemExit(f"register_memory: {code}")
        # With a metadata store the name is the one that was given.
        port = f":{self.engine.get_rpc_port()}" if options.metadata == "P2PHANDSHAKE" else ""
        say(f"ready {options.host}{port} {self.address} {self.length} 0")

    def view(self, offset, length):
        offset, length = int(offset), int(length)
        if offset < 0 or length < 0 or offset + length > self.length:
            raise ValueError("outside of the buffer")
        return self.bytes[offset : offset + length]

    def fill(self, seed, offset, length, place):
        self.whole(place)
        self.view(offset, length)[:] = pattern(int(seed), int(length))
        return "ok"

    @staticmethod
    def whole(place):
        if int(place) != 0:
            raise ValueError("only patterns from their beginning")

    def check(self, seed, offset, length, place):
        self.whole(place)
        index = first_mismatch(self.view(offset, length), int(seed))
        return "ok" if index is None else f"mismatch {index}"

    def transfer(self, opcode, segment, offset, remote, block, count, places=None):
        offset, remote, block, count = int(offset), int(remote), int(block), int(count)
        places = int(places or count)
        self.view(offset, block * places)
        local = [self.address + offset + index % places * block for index in range(count)]
        far = [remote + index % places * block for index in range(count)]
        if opcode == "write":
            code = self.engine.batch_transfer_sync_write(segment, local, far, [block] * count)
        else:
            code = self.engine.batch_transfer_sync_read(segment, local, far, [block] * count)
        return f"completed {block * count}" if code == 0 else f"failed {code}"

    def notify(self, segment, remote, name, message):
        code = self.engine.transfer_sync(
            segment, self.address, int(remote), 1, TransferOpcode.Write, TransferNotify(name, message)
        )
        return "ok" if code == 0 else f"failed {code}"

    def validate(self, segment, seconds, block, count):
        """Random blocks there and back, compared, as upstream's transfer_engine_validator does it."""
        block, count = int(block), int(count)
        span = block * count
        remote = self.engine.get_first_buffer_address(segment)
        if remote == 0:
            return "failed: no buffer"
        end = time.monotonic() + float(seconds)
        rounds = 0
        while rounds == 0 or time.monotonic() < end:
            wanted = numpy.random.randint(0, 256, span, dtype=numpy.uint8)
            self.view(0, span)[:] = wanted
            reply = self.transfer("write", segment, 0, remote, block, count)
            # The first framing acknowledges no writes: what was written may be there a little later.
            deadline = time.monotonic() + 60
            while reply == f"completed {span}":
                self.view(0, span)[:] = 0
                reply = self.transfer("read", segment, 0, remote, block, count)
                if numpy.array_equal(self.view(0, span), wanted):
                    break
                if not self.late or time.monotonic() > deadline:
                    return f"mismatch in round {rounds}"
            if reply != f"completed {span}":
                return reply
            rounds += 1
        return f"ok {rounds}"

    def run(self, verb, words):
        if verb in ("write", "read"):
            return self.transfer(verb, *words)
        if verb == "validate":
            return self.validate(*words)
        if verb == "fill":
            return self.fill(*words)
        if verb == "check":
            return self.check(*words)
        if verb == "write-notify":
            return self.notify(*words)
        if verb == "probe":
            code = self.engine.send_probe(words[0])
            return "ok" if code == 0 else f"failed {code}"
        if verb == "warmup":
            code = self.engine.warmup_efa_segment(words[0])
            return "ok" if code == 0 else f"failed {code}"
        if verb == "notifications":
            return "ok " + ",".join(f"{one.name}={one.msg}" for one in self.engine.get_notifies())
        raise ValueError(f"unknown command {verb}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--protocol", default="tcp")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--buffer", type=int, default=64 << 20)
    parser.add_argument("--metadata", default="P2PHANDSHAKE")
    parser.add_argument("--late", action="store_true", help="writes of this version may arrive after they are done")
    peer = Peer(parser.parse_args())
    for line in sys.stdin:
        words = line.split()
        if not words or words[0] == "exit":
            break
        try:
            say(peer.run(words[0], words[1:]))
        except Exception as error:  # said to whoever gave the command
            say(f"error {error!r}")
    # Upstream's teardown with peers connected can take long, and nothing is tested by it.
    ctypes.CDLL(None)._exit(0)


main()
