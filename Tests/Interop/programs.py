"""Programs whose output is waited for: benches, metadata servers."""

import os
import pathlib
import re
import signal
import socket
import subprocess
import time

from peers import PeerFailure


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Program:
    """A program that writes everything into `log`. To be used with `with`, which ends it."""

    def __init__(self, command, environment, log):
        self.command = [str(word) for word in command]
        self.log = pathlib.Path(log)
        with open(self.log, "wb") as output:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def output(self):
        return self.log.read_text(errors="replace")

    def expect(self, expression, seconds=60):
        """The first match in the output, waited for."""
        deadline = time.monotonic() + seconds
        while True:
            has_ended = self.process.poll() is not None
            match = re.search(expression, self.output())
            if match:
                return match
            if has_ended:
                raise PeerFailure(f"{self.log.name}: ended with code {self.process.returncode}: {self.last_line()}")
            if time.monotonic() > deadline:
                raise PeerFailure(f"{self.log.name}: no {expression!r} within {seconds} s")
            time.sleep(0.05)

    def finish(self, seconds=180):
        """The exit code."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise PeerFailure(f"{self.log.name}: has not ended within {seconds} s") from None

    def last_line(self):
        lines = self.output().strip().splitlines()
        return lines[-1][:200] if lines else "no output"
