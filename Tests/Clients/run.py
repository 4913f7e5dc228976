"""Drives the Mooncake wrappers of real clients, unmodified, between two processes over TCP on this host.

usage: run.py [CLIENT...]     CLIENT: sglang, vllm, lmcache, checkpoint_engine; none: all of them.

Whatever `mooncake.engine` this interpreter has is what they run on. Exits with 1 if one of them fails.
"""

import importlib
import json
import os
import subprocess
import sys
import threading

CLIENTS = ["sglang", "vllm", "lmcache", "checkpoint_engine"]
HOST = "127.0.0.1"
# Importing a serving framework takes its time.
STARTING, RUNNING = 300, 300


def target(client):
    """The child: makes its target, describes it on a line, and checks its memory when told."""
    sys.stdout, answers = sys.stderr, sys.stdout
    side = importlib.import_module(f"client_{client}").Target(HOST)
    print(json.dumps(side.describe()), file=answers, flush=True)
    sys.stdin.readline()
    print("good" if side.check() else "bad", file=answers, flush=True)


def initiator(client, description):
    """The child: transfers, and says how it went by its exit status."""
    importlib.import_module(f"client_{client}").initiate(HOST, json.loads(description))


def child(*arguments, **options):
    return subprocess.Popen([sys.executable, __file__, *arguments], text=True, **options)


def read_line(process, seconds):
    """A line of the child's, or none if it ends without or takes longer."""
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        return process.stdout.readline().strip()
    finally:
        timer.cancel()


def drive(client):
    owner = child("--target", client, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        description = read_line(owner, STARTING)
        if not description:
            return "its target did not start"
        other = child("--initiator", client, description)
        try:
            if other.wait(RUNNING) != 0:
                return "its transfer failed"
        finally:
            other.kill()
        outcome, _ = owner.communicate("check\n", RUNNING)
        return None if outcome.strip() == "good" else "its target did not get what was sent"
    except subprocess.TimeoutExpired:
        return "it did not end in time"
    finally:
        owner.kill()
        owner.wait()


def main():
    if len(sys.argv) > 2 and sys.argv[1] == "--target":
        return target(sys.argv[2])
    if len(sys.argv) > 3 and sys.argv[1] == "--initiator":
        return initiator(sys.argv[2], sys.argv[3])
    # SGLang and LMCache name their protocol by these.
    os.environ.update(MOONCAKE_PROTOCOL="tcp", MC_TE_PROTOCOL="tcp")
    failures = 0
    for client in sys.argv[1:] or CLIENTS:
        if client not in CLIENTS:
            sys.exit(f"error: there is no client '{client}'. There are: {', '.join(CLIENTS)}.")
        problem = drive(client)
        failures += problem is not None
        print(f"{client:20} {'ok' if problem is None else 'FAILED: ' + problem}", flush=True)
    sys.exit(1 if failures else 0)


main()
