"""Engines that find each other by a metadata store instead of by host:port: our metadata server over HTTP, and etcd."""

import contextlib
import tempfile

from peers import PeerFailure
from programs import Program, free_port
from results import failed

REGION = 64 << 20
# Upstream publishes the address of its first interface otherwise, which need not be one that others reach.
HERE = {"MC_TCP_BIND_ADDRESS": "127.0.0.1"}


@contextlib.contextmanager
def http(options):
    """Our metadata server; gives its connection string."""
    command = [options.moonrail, "metadata-server", "--host", "127.0.0.1", "--port", "0"]
    with Program(command, {}, options.work / "metadata-server.log") as server:
        yield server.expect(r"listening on (http://127\.0\.0\.1:\d+/metadata)")[1]


@contextlib.contextmanager
def etcd(options):
    """An etcd with an empty store; gives its connection string."""
    clients, peers = free_port(), free_port()
    with tempfile.TemporaryDirectory() as directory:
        command = ["etcd", "--data-dir", directory, "--listen-client-urls", f"http://127.0.0.1:{clients}"]
        command += ["--advertise-client-urls", f"http://127.0.0.1:{clients}"]
        command += ["--listen-peer-urls", f"http://127.0.0.1:{peers}"]
        command += ["--initial-advertise-peer-urls", f"http://127.0.0.1:{peers}"]
        command += ["--initial-cluster", f"default=http://127.0.0.1:{peers}"]
        with Program(command, {}, options.work / "etcd.log") as server:
            server.expect("ready to serve client requests")
            yield f"etcd://127.0.0.1:{clients}"


def run(options, results, setting, mover):
    for store, title in ((http, ", by `moonrail metadata-server`"), (etcd, ", by etcd")):
        for moonrail_initiates in (True, False):
            key = setting.key(moonrail_initiates, title)
            peers = []
            try:
                with store(options) as connection:
                    try:
                        for make, name in ((setting.ours, "moonrail-1"), (setting.upstream, "upstream-1")):
                            peers.append(make(options, REGION, ["--metadata", connection, "--host", name], HERE))
                        initiator, target = peers if moonrail_initiates else peers[::-1]
                        mover.control(setting, key, initiator, target)
                        mover.matrix(setting, key, initiator, target, [1, 1 << 20], [1, 32])
                    finally:
                        for peer in peers:
                            peer.close()
            except PeerFailure as failure:
                results.record(key, "write", "and the rest", failed(failure))
