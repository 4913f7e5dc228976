"""Records what upstream's engines say to each other, for the tests of the codecs (Tests/WireTests/Fixtures).

usage: record.py --fixtures DIRECTORY [--efa PYTHON --fake-efa DIRECTORY] [--tcp PYTHON] [--tcp-old PYTHON]

Two of upstream's engines talk over loopback, with a recorder between them that gives the initiator its own ports in
the place of the target's. What is written down is what each side sent, before ports are exchanged. scripts/interop.sh
makes the environments that PYTHON is of; afterwards, from the package's root:

    python3 Tests/Interop/record.py --fixtures Tests/WireTests/Fixtures --fake-efa .build/fake-efa \\
      --efa .build/interop/efa/bin/python --tcp .build/interop/tcp/bin/python \\
      --tcp-old .build/interop/tcp-old/bin/python

One folder per build: NAME.frame is a handshake frame with its length and type, NAME.data are bytes of a data
connection. Addresses, ports, keys and times are those of the recording, and change with every one. The last seven bytes
of an old build's data headers are whatever was in its memory: look at them before they are committed.
"""

import argparse
import json
import pathlib
import socket
import struct
import tempfile
import threading

from peers import fake_efa, upstream

CONNECTION, METADATA, NOTIFY, PROBE = range(4)
NAMES = {CONNECTION: "connection", METADATA: "metadata", NOTIFY: "notify", PROBE: "probe"}
BUFFER = 1 << 20
BLOCK = 16
LIMIT = 20


def listener():
    server = socket.create_server(("127.0.0.1", 0))
    return server, server.getsockname()[1]


def connect(port):
    return socket.create_connection(("127.0.0.1", port), LIMIT)


def receive(connection, length):
    data = b""
    while len(data) < length:
        part = connection.recv(length - len(data))
        if not part:
            raise EOFError(f"{len(data)} of {length} bytes")
        data += part
    return data


def receive_frame(connection):
    header = receive(connection, 8)
    return header + receive(connection, struct.unpack("<Q", header)[0])


def frame(kind, body):
    payload = (b"" if kind is None else bytes([kind])) + body
    return struct.pack("<Q", len(payload)) + payload


def exchange(port, request):
    with connect(port) as connection:
        connection.sendall(request)
        return receive_frame(connection)


def in_background(body, *arguments):
    threading.Thread(target=body, args=arguments, daemon=True).start()


class Handshakes:
    """Stands between an initiator and the handshake port of a target; `seen` are pairs of request and reply."""

    def __init__(self, target, exchanged):
        server, self.port = listener()
        self.target = target
        # Text of the target's and what the initiator sees of it, of the same length: frames keep theirs.
        self.exchanged = [*exchanged, (str(target), str(self.port))]
        assert all(len(ours) == len(theirs) for ours, theirs in self.exchanged)
        self.seen = []
        in_background(self.serve, server)

    def swap(self, data, towards_target):
        for real, shown in self.exchanged:
            old, new = (shown, real) if towards_target else (real, shown)
            data = data.replace(f":{old}".encode(), f":{new}".encode())
        return data

    def serve(self, server):
        while True:
            connection, _ = server.accept()
            with connection:
                connection.settimeout(LIMIT)
                request = receive_frame(connection)
                reply = exchange(self.target, self.swap(request, True))
                self.seen.append((request, reply))
                connection.sendall(self.swap(reply, False))


class Data:
    """Stands before a data port; `sent` and `answered` are the bytes since the last `begin`."""

    def __init__(self, target):
        server, self.port = listener()
        self.target = target
        self.begin()
        in_background(self.serve, server)

    def begin(self):
        self.sent, self.answered = bytearray(), bytearray()

    def serve(self, server):
        while True:
            near, _ = server.accept()
            far = connect(self.target)
            far.settimeout(None)
            in_background(self.pump, near, far, "sent")
            in_background(self.pump, far, near, "answered")

    def pump(self, source, sink, what):
        try:
            while data := source.recv(65536):
                getattr(self, what).extend(data)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            # A refused request ends in a reset, and so does an engine that ends.
            return


class Recording:
    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, name, data):
        (self.folder / name).write_bytes(bytes(data))
        print(f"{self.folder.name}/{name}: {len(data)} bytes")

    def handshakes(self, seen):
        """The first request and reply of each kind."""
        for request, reply in reversed(seen):
            name = NAMES[request[8]]
            (self.folder / f"{name}-request.frame").write_bytes(request)
            (self.folder / f"{name}-reply.frame").write_bytes(reply)
        print(f"{self.folder.name}: {sorted({NAMES[request[8]] for request, _ in seen})}")


def expect(reply, wanted):
    if reply != wanted:
        raise SystemExit(f"expected {wanted!r}, not {reply!r}")


def strangers(recording, port):
    """What a target says to those who ask for a NIC that it does not have, and to those who leave the type out."""
    body = json.dumps({"local_nic_path": "127.0.0.1:1@nobody", "peer_nic_path": "127.0.0.1:2@nothing"}).encode()
    recording.write("connection-unknown.frame", exchange(port, frame(CONNECTION, body)))
    recording.write("connection-unknown-old-form.frame", exchange(port, frame(None, body)))


def record(folder, python, protocol, environment, has_control):
    recording = Recording(folder)
    with tempfile.TemporaryDirectory() as work:
        peers = []
        try:
            for role in ("initiator", "target"):
                peers.append(upstream(python, protocol, BUFFER, pathlib.Path(work) / role, environment))
            conversation(recording, *peers, protocol, has_control)
        finally:
            for peer in peers:
                peer.close()


def conversation(recording, initiator, target, protocol, has_control):
    port = int(target.name.rsplit(":", 1)[1])
    descriptor = json.loads(exchange(port, frame(METADATA, b"{}"))[9:])
    data = Data(descriptor["tcp_data_port"]) if protocol == "tcp" else None
    handshakes = Handshakes(port, [(str(descriptor["tcp_data_port"]), str(data.port))] if data else [])
    name = f"127.0.0.1:{handshakes.port}"

    expect(initiator.ask(f"fill 5 0 {BLOCK} 0"), "ok")
    for verb in ("write", "read"):
        if data:
            data.begin()
        expect(initiator.ask(f"{verb} {name} 0 {target.address} {BLOCK} 1"), f"completed {BLOCK}")
        if data:
            # The first framing reports a write done when it is on its way: the target's memory says when it is there.
            while target.ask(f"check 5 0 {BLOCK} 0") != "ok":
                pass
            recording.write(f"{verb}-request.data", data.sent)
            if data.answered:
                recording.write(f"{verb}-reply.data", data.answered)
    if data and data.answered[4:8] == b"VTCM":
        data.begin()
        initiator.ask(f"write {name} 0 {target.address + BUFFER} {BLOCK} 1")
        recording.write("refusal.data", data.answered[:8])
    if has_control:
        expect(initiator.ask(f"write-notify {name} {target.address} agent hello"), "ok")
        expect(initiator.ask(f"probe {name}"), "ok")
    recording.handshakes(handshakes.seen)
    strangers(recording, port)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fixtures", required=True, type=pathlib.Path)
    parser.add_argument("--fake-efa", type=lambda text: pathlib.Path(text).resolve())
    parser.add_argument("--efa")
    parser.add_argument("--tcp")
    parser.add_argument("--tcp-old")
    options = parser.parse_args()
    if options.efa:
        environment = {**fake_efa(options.fake_efa, 2), "LD_PRELOAD": f"{options.fake_efa}/libfakeibv.so"}
        # The software provider's addresses are those of an interface, and this one is the same everywhere.
        environment["FI_TCP_IFACE"] = "lo"
        record(options.fixtures / "efa-0.3.13.post1", options.efa, "efa", environment, True)
    forced = {"MC_FORCE_TCP": "1"}
    if options.tcp:
        record(options.fixtures / "tcp-0.3.13.post1", options.tcp, "tcp", forced, True)
    if options.tcp_old:
        record(options.fixtures / "tcp-0.3.10.post2", options.tcp_old, "tcp", forced, False)


main()
