"""The control path as a client: what an engine's handshake daemon says about its memory."""

import json
import socket
import struct
import time

METADATA = 1
MOST_BYTES = 16 << 20


def receive(connection, count):
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise ConnectionError("the daemon hung up")
        data += part
    return data


def descriptor(name):
    """The segment descriptor of the engine at `name`, over a new connection."""
    host, _, port = name.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        body = bytes([METADATA]) + b"{}"
        connection.sendall(struct.pack("<Q", len(body)) + body)
        (length,) = struct.unpack("<Q", receive(connection, 8))
        if not 1 <= length <= MOST_BYTES:
            raise ConnectionError(f"the daemon announces {length} bytes")
        return json.loads(receive(connection, length)[1:])


def wait_for_memory(name, seconds):
    """Until the engine at `name` has memory registered. Whether it has."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if (descriptor(name) or {}).get("buffers"):
                return True
        except (OSError, ValueError):
            pass
        time.sleep(0.05)
    return False


def round_trip(name):
    """Seconds that one question to the engine at `name` takes, its connection included."""
    begin = time.perf_counter()
    descriptor(name)
    return time.perf_counter() - begin
