"""Engines in processes of their own, ours (Tests/Peer) and upstream's (upstream_peer.py), driven line by line."""

import os
import pathlib
import select
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent


class PeerFailure(Exception):
    pass


class Peer:
    """A peer that is ready: `name`, and the `address` and `length` of its buffer."""

    def __init__(self, label, command, environment, log):
        self.label = label
        self.log = open(log, "ab")
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, env={**os.environ, **environment}
        )
        os.set_blocking(self.process.stdout.fileno(), False)
        self.pending = b""
        words = self.answer(60).split()
        if words[:1] != ["ready"]:
            raise PeerFailure(f"{label} said: {' '.join(words)}")
        self.name, self.address, self.length = words[1], int(words[2]), int(words[3])

    def tell(self, command):
        self.process.stdin.write((command + "\n").encode())
        self.process.stdin.flush()

    def answer(self, seconds=300):
        deadline = time.monotonic() + seconds
        while b"\n" not in self.pending:
            left = deadline - time.monotonic()
            if left <= 0:
                raise PeerFailure(f"{self.label} said nothing for {seconds} s")
            if not select.select([self.process.stdout], [], [], min(left, 1))[0]:
                continue
            data = self.process.stdout.read(65536)
            if data == b"":
                raise PeerFailure(f"{self.label} has ended with code {self.process.wait()}")
            # Libraries print to standard output as well; what does not end in a newline is not an answer yet.
            self.pending += data or b""
        line, self.pending = self.pending.split(b"\n", 1)
        return line.decode(errors="replace")

    def ask(self, command, seconds=300):
        self.tell(command)
        return self.answer(seconds)

    def close(self):
        if self.process.poll() is None:
            try:
                self.tell("exit")
                self.process.wait(10)
            except (OSError, subprocess.TimeoutExpired):
                self.process.kill()
                self.process.wait()
        self.log.close()


def fake_efa(directory, nics):
    """What a process needs to see the fake EFA provider with this many NICs."""
    return {"FI_PROVIDER": "^psm,psm2", "FI_PROVIDER_PATH": f"{directory}/prov", "FAKE_EFA_NICS": str(nics)}


def ours(binary, protocol, buffer, log, environment=None, extra=()):
    return Peer(
        "moonrail",
        [str(binary), "--transport", protocol, "--provider", "efa", "--buffer", str(buffer), *extra],
        environment or {},
        log,
    )


def upstream(python, protocol, buffer, log, environment=None, extra=()):
    return Peer(
        "upstream",
        [str(python), str(HERE / "upstream_peer.py"), "--protocol", protocol, "--buffer", str(buffer), *extra],
        environment or {},
        log,
    )
