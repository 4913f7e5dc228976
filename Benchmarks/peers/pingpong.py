"""libfabric's own ping-pong: what a message and its answer take over a provider, with neither side ever asleep."""

import pathlib
import shutil
import time

from programs import PATIENCE, Program, ProgramFailed, free_port, sample

MESSAGES = 50_000
LISTEN = "0A"


def is_installed():
    return shutil.which("fi_pingpong") is not None


def has_listener(port):
    """Without connecting: the server takes one client only."""
    for table in ("tcp", "tcp6"):
        for line in pathlib.Path("/proc/net", table).read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                return True
    return False


class Pingpong(Program):
    """`fi_pingpong` over one endpoint of a software provider itself."""

    # A server serves one client.
    RUNS_PER_TARGET = 1

    def __init__(self, log, provider, block):
        # Without the fake EFA's settings for the provider beneath it, which are made for one that gets no messages.
        super().__init__("fi_pingpong", log, {"FI_PROVIDER": "^psm,psm2"})
        self.port = free_port()
        self.command = ["fi_pingpong", "-p", provider, "-e", "rdm", "-I", MESSAGES, "-S", block]
        self.block = block

    def begin(self):
        self.start([*self.command, "-B", self.port], rb"")
        deadline = time.monotonic() + PATIENCE
        while not has_listener(self.port):
            if time.monotonic() > deadline or self.target.poll() is not None:
                raise ProgramFailed(f"{self.name}: the server did not start")
            time.sleep(0.01)

    def measure(self):
        """A round trip: the mean, since it tells no other."""
        text, _ = self.run(PATIENCE, lambda: [*self.command, "-P", self.port, "127.0.0.1"])
        head, *_, values = text.strip().splitlines()
        microseconds = 2 * float(values.split()[head.split().index("usec/xfer")])
        return sample(self.block / microseconds * 1e6, 1, 0, p50=microseconds / 1e6)
