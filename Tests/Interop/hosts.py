"""Two hosts in network namespaces, with a cable between them that can be pulled: transfers before, during and after.

usage: hosts.py --peer BINARY --work DIRECTORY [--only SCENARIO]...        (as root; needs iproute2)

scripts/hosts.sh builds the peer and runs it.

The kernel reports nothing for a long time when a link goes down under a connection. What is shown is that the engine
does not wait for the kernel: a transfer ends by its own deadline, says so, and works again when the cable is back.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import time

from peers import Peer, PeerFailure

DEADLINE = 8
BUFFER = 256 << 20


def ip(*words):
    subprocess.run(["ip", *words], check=True)


class Hosts:
    """Namespaces `<prefix>-a` and `<prefix>-b`, joined by a veth pair, with one IPv4 and one IPv6 address each."""

    def __init__(self):
        self.prefix = f"moonrail-{os.getpid()}"
        self.names = [f"{self.prefix}-a", f"{self.prefix}-b"]

    def __enter__(self):
        for name in self.names:
            ip("netns", "add", name)
        ip("link", "add", "cable0", "netns", self.names[0], "type", "veth", "peer", "name", "cable0", "netns", self.names[1])
        for index, name in enumerate(self.names):
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "addr", "add", f"10.77.0.{index + 1}/24", "dev", "cable0")
            ip("-n", name, "-6", "addr", "add", f"fd77::{index + 1}/64", "dev", "cable0", "nodad")
            ip("-n", name, "link", "set", "cable0", "up")
        return self

    def __exit__(self, *_):
        for name in self.names:
            subprocess.run(["ip", "netns", "delete", name], check=False)

    def cable(self, state):
        ip("-n", self.names[1], "link", "set", "cable0", state)
        if state == "up":
            # Taking a link down takes its IPv6 address as well.
            subprocess.run(
                ["ip", "-n", self.names[1], "-6", "addr", "add", "fd77::2/64", "dev", "cable0", "nodad"],
                stderr=subprocess.DEVNULL,
                check=False,
            )


class Run:
    def __init__(self, options):
        self.options = options
        self.failures = 0
        self.passed = 0

    def expect(self, what, good, seen):
        print(f"{'ok    ' if good else 'FAILED'} {what}: {seen}", flush=True)
        if good:
            self.passed += 1
        else:
            self.failures += 1

    def peer(self, host, address, arguments, environment):
        command = ["ip", "netns", "exec", host, self.options.peer, "--host", address, "--buffer", str(BUFFER), *arguments]
        log = pathlib.Path(self.options.work) / f"{host}.log"
        return Peer(f"moonrail on {host}", command, {"MC_TRANSFER_TIMEOUT": str(DEADLINE), **environment}, log)

    def write(self, near, far, seed, block, count):
        length = block * count
        for command, peer in ((f"fill {seed} 0 {length} 0", near), (f"fill {seed + 1} 0 {length} 0", far)):
            reply = peer.ask(command)
            if reply != "ok":
                return reply
        reply = near.ask(f"write {far.name} 0 {far.address} {block} {count}")
        if reply != f"completed {length}":
            return reply
        return far.ask(f"check {seed} 0 {length} 0")

    @staticmethod
    def await_bytes(peer, seed):
        """Returns when the first bytes of pattern `seed` are there: the transfer is under way."""
        deadline = time.monotonic() + 20
        while peer.ask(f"check {seed} 0 8 0") != "ok":
            if time.monotonic() > deadline:
                raise PeerFailure(f"nothing has arrived at {peer.label} for 20 s")

    def scenario(self, title, hosts, arguments, environment, addresses):
        print(f"\n{title}", flush=True)
        near = far = None
        try:
            near = self.peer(hosts.names[0], addresses[0], arguments, environment)
            far = self.peer(hosts.names[1], addresses[1], arguments, environment)
            reply = self.write(near, far, 11, 1 << 20, 64)
            self.expect("two hosts: 64 MiB written and compared", reply == "ok", reply)

            near.ask(f"fill 12 0 {BUFFER} 0")
            near.tell(f"write-for 60 {far.name} {far.address} {1 << 20} 64")
            self.await_bytes(far, 12)
            begin = time.monotonic()
            hosts.cable("down")
            reply = near.answer(DEADLINE + 30)
            waited = time.monotonic() - begin
            ended = not reply.startswith("completed")
            self.expect("cable pulled: the transfer fails or times out", ended, reply)
            self.expect("within the deadline", waited < DEADLINE + 7, f"{waited:.1f} s after the cable was pulled")

            hosts.cable("up")
            reply = ""
            for attempt in range(12):
                reply = self.write(near, far, 100 + attempt, 1 << 20, 16)
                if reply == "ok":
                    break
            self.expect("cable back: transfers work again, without a restart", reply == "ok", reply)
        except PeerFailure as failure:
            self.expect(title, False, failure)
        finally:
            hosts.cable("up")
            for peer in (near, far):
                if peer:
                    peer.close()


V4, V6 = ("10.77.0.1", "10.77.0.2"), ("fd77::1", "fd77::2")
RXM = ["--transport", "efa", "--provider", "tcp;ofi_rxm"]
# Name: the peers' arguments, their environment, and the addresses of the two hosts.
SCENARIOS = {
    "tcp, IPv4": (["--transport", "tcp"], {}, V4),
    "tcp, IPv6": (["--transport", "tcp"], {"MC_USE_IPV6": "1"}, V6),
    "efa over tcp;ofi_rxm, IPv4": (RXM, {}, V4),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--only", action="append", choices=SCENARIOS, help="this scenario; may be given more than once")
    options = parser.parse_args()
    run = Run(options)
    with Hosts() as hosts:
        for title in options.only or SCENARIOS:
            run.scenario(title, hosts, *SCENARIOS[title])
    print(f"{run.passed} passed, {run.failures} failed")
    sys.exit(1 if run.failures else 0)


main()
