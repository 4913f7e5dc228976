#!/usr/bin/env python3
"""Asks Mooncake's metadata server and Moonrail's the same things and compares status, body and content type.

    pip install mooncake-transfer-engine-non-cuda==0.3.13.post1 aiohttp
    python Tests/Interop/metadata_server.py .build/debug/moonrail

Ends with status 1 if a reply differs that is not one of the differences named in EXPECTED.
"""

import http.client
import re
import socket
import subprocess
import sys
import time

DEAD = b'{"ip_or_host_name":"127.0.0.1","rpc_port":1}'

# method, target, body
CASES = [
    ("GET", "/metadata", None),
    ("GET", "/metadata?key=", None),
    ("PUT", "/metadata?key=%20%09", b"x"),
    ("POST", "/metadata?key=", b"x"),
    ("GET", "/metadata?key=a", None),
    ("PUT", "/metadata?key=a", b'{"n":1}'),
    ("GET", "/metadata?key=a", None),
    ("PUT", "/metadata?key=a", b'{"n":1}'),
    ("PUT", "/metadata?key=a", b"\x00\xff\x80 binary"),
    ("GET", "/metadata?key=a", None),
    ("PUT", "/metadata?key=e", b""),
    ("GET", "/metadata?key=e", None),
    ("PUT", "/metadata?key=mooncake%2Fram%2F10.0.0.1%3A12345", b"segment"),
    ("GET", "/metadata?key=mooncake/ram/10.0.0.1:12345", None),
    ("GET", "/metadata?key=+mooncake%2fram%2f10.0.0.1%3a12345%0a", None),
    ("GET", "/metadata?key=%C2%A0mooncake/ram/10.0.0.1:12345%1F", None),
    ("GET", "/metadata?key=mooncake%252Fram", None),
    ("PUT", "/metadata?key=x%2By%26z%3D", b"signs"),
    ("GET", "/metadata?key=x%2By%26z%3D", None),
    ("GET", "/metadata?%6bey=a", None),
    ("GET", "/metadat%61?key=a", None),
    ("GET", "/metadata?key=a&key=b", None),
    ("GET", "/metadata?key=b&key=a", None),
    ("GET", "/metadata?other=1&key=a", None),
    ("PUT", "/metadata?key=%FF", b"not UTF-8"),
    ("GET", "/metadata?key=%EF%BF%BD", None),
    ("PUT", "/metadata?key=%C3%A9", b"composed"),
    ("GET", "/metadata?key=e%CC%81", None),
    ("PUT", "/metadata?key=p%zz", b"percent"),
    ("GET", "/metadata?key=p%zz", None),
    ("PUT", "/metadata?key=s;t", b"semicolon"),
    ("GET", "/metadata?key=s;t", None),
    ("PUT", "/metadata?key=q=r?s", b"signs"),
    ("GET", "/metadata?key=q%3Dr%3Fs", None),
    ("DELETE", "/metadata?key=%20a%20", None),
    ("DELETE", "/metadata?key=a", None),
    ("GET", "/metadata?key=a", None),
    ("POST", "/metadata?key=a", b"x"),
    ("PATCH", "/metadata?key=a", b"x"),
    ("OPTIONS", "/metadata?key=a", None),
    ("HEAD", "/metadata?key=a", None),
    ("GET", "/", None),
    ("GET", "/metadata/", None),
    ("GET", "/metadata/x?key=a", None),
    ("PUT", "/metadata?key=mooncake%2Frpc_meta%2Falive", b"ALIVE"),
    ("PUT", "/metadata?key=mooncake%2Frpc_meta%2Falive", b"{}"),
    ("GET", "/metadata?key=mooncake%2Frpc_meta%2Falive", None),
    ("PUT", "/metadata?key=mooncake%2Frpc_meta%2Falive", b"ALIVE"),
    ("DELETE", "/metadata?key=mooncake%2Frpc_meta%2Falive", None),
    ("PUT", "/metadata?key=mooncake%2Frpc_meta%2Falive", b"{}"),
    ("PUT", "/metadata?key=mooncake%2Frpc_meta%2Fdead", DEAD),
    ("PUT", "/metadata?key=mooncake%2Frpc_meta%2Fdead", b"{}"),
    ("PUT", "/metadata?key=big", b"x" * (2 << 20)),
    ("GET", "/health", None),
    ("GET", "/metrics", None),
]

# What is meant to differ: index by what is asked, value is what Moonrail says (None: anything) and why.
EXPECTED = {
    ("PUT", "/metadata?key=mooncake%2Frpc_meta%2Falive", b"ALIVE"):
        ((200, b"metadata unchanged"), "the owner says the same again"),
    ("PUT", "/metadata?key=mooncake%2Frpc_meta%2Fdead", b"{}"):
        ((200, b"metadata updated"), "the owner is dead"),
    ("PUT", "/metadata?key=big", b"x" * (2 << 20)):
        ((200, b"metadata updated"), "values over 1 MiB are taken"),
    ("GET", "/health", None): ((200, b"OK"), "a route that upstream's C++ server has"),
    ("GET", "/metrics", None): (None, "a route of Moonrail's"),
}


def ask(port, case, living):
    method, target, body = case
    if body == b"ALIVE":
        body = b'{"ip_or_host_name":"127.0.0.1","rpc_port":%d}' % living
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, target, body, {"Content-Type": "application/json"} if body is not None else {})
    reply = connection.getresponse()
    result = (reply.status, reply.read(), reply.getheader("Content-Type"), reply.getheader("Content-Length"))
    connection.close()
    return result


def wait_for(port):
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    sys.exit(f"nothing listens on port {port}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def living_owner():
    """An engine of upstream's, which answers probes."""
    from mooncake.engine import TransferEngine

    engine = TransferEngine()
    if engine.initialize("127.0.0.1", "P2PHANDSHAKE", "tcp", "") != 0:
        sys.exit("upstream's engine did not start")
    return engine, engine.get_rpc_port()


def main():
    tool = sys.argv[1] if len(sys.argv) > 1 else ".build/debug/moonrail"
    engine, living = living_owner()
    upstream_port = free_port()
    servers = [
        subprocess.Popen(
            [sys.executable, "-m", "mooncake.http_metadata_server", "--host", "127.0.0.1", "--port", str(upstream_port)],
            stderr=subprocess.DEVNULL),
        subprocess.Popen(
            [tool, "metadata-server", "--host", "127.0.0.1", "--port", "0"], stdout=subprocess.PIPE, text=True),
    ]
    failed = 0
    try:
        line = servers[1].stdout.readline()
        match = re.search(r"listening on http://127\.0\.0\.1:(\d+)/metadata", line)
        if not match:
            sys.exit(f"moonrail said: {line!r}")
        wait_for(upstream_port)
        seen = set()
        for case in CASES:
            theirs, ours = (ask(port, case, living) for port in (upstream_port, int(match.group(1))))
            name = f"{case[0]} {case[1]}"
            if theirs == ours:
                print(f"same       {name}: {ours[0]} {ours[1][:40]!r} {ours[2]}")
                continue
            wanted, reason = EXPECTED.get(case, ((), "not meant to differ"))
            seen.add(case)
            verdict = "expected" if wanted is None or wanted == ours[:2] else "DIFFERENT"
            failed += verdict == "DIFFERENT"
            print(f"{verdict:10} {name}: {reason}\n    upstream {theirs}"[:400] + f"\n    moonrail {ours}"[:200])
        for case in EXPECTED.keys() - seen:
            print(f"NOT SEEN   {case[0]} {case[1]}: meant to differ")
            failed += 1
    finally:
        for server in servers:
            server.terminate()
            server.wait(20)
    print(f"{len(CASES)} requests, {failed} unexpected differences")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
