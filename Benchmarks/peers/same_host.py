"""Two processes of one host: `moonrail bench --same-host` beside what the kernel and the processor do alone."""

import subprocess

from alone import Alone
from programs import Load, Moonrail, Sample, size
from turns import at_least, gigabytes, take_turns

BLOCKS = (1 << 20, 1 << 30)


def has_same_host(binary):
    text = subprocess.run([binary, "help", "bench"], capture_output=True, text=True, check=False).stdout
    return "--same-host" in text or "--same_host" in text


def loop(options, program, how, load):
    result = program.measure([options.memory_loop, how, load.block, load.batch, options.seconds], options.seconds)
    return Sample(result["bytes"] / result["seconds"], 0)


class Neighbour(Moonrail):
    """A target with memory that the initiator can map, or that it can only copy to."""

    def __init__(self, options, shares):
        super().__init__("moonrail", options.work / "same-host.log", options.moonrail, max(BLOCKS), "tcp",
                         flags=["--same-host"])  # fmt: skip
        self.shares = shares

    def begin(self):
        flags = ["--shared-memory"] if self.shares else []
        match = self.start(
            [*self.bench, "--mode=target", f"--buffer_size={self.buffer}", *flags], self.LISTENING
        )
        self.segment = match.group(1).decode()


def compare(options, table, title, program, raw, block, how, bound):
    load = Load("read" if how == "readv" else "write", block, max(1, (8 << 20) // block), 1, options.seconds)
    program.verify(load)
    ours, theirs = take_turns(
        [lambda: program.measure(load), lambda: loop(options, raw, how, load)], options.rounds
    )
    name = "memcpy" if how == "memcpy" else f"process_vm_{how}"
    table.add(title, "bytes per second", name, gigabytes(ours), gigabytes(theirs), "GB/s", at_least(bound))


def run(options, table):
    table.begin("Two processes of one host")
    if not has_same_host(options.moonrail):
        table.remark("not measured: this build of moonrail has no --same-host")
        return
    raw = Alone("memory_loop", options.work / "memory-loop.log")
    for shares, ways, bound in ((False, ("writev", "readv"), 0.95), (True, ("memcpy",), 0.9)):
        program = Neighbour(options, shares)
        try:
            for block in BLOCKS:
                for how in ways:
                    title = f"{'read' if how == 'readv' else 'write'} {size(block)}, {'mapped' if shares else 'copied'}"
                    table.attempt(
                        title, lambda: compare(options, table, title, program, raw, block, how, bound)
                    )
        finally:
            program.close()
    raw.close()
