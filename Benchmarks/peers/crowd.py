"""Peers that exist on the control path only: one daemon that answers under many addresses of 127.0.0.0/8."""

import json
import socketserver
import struct
import threading

from control import METADATA, MOST_BYTES, receive


class Crowd:
    """`count` names, under each of which `descriptor` is given out, with that name in it."""

    def __init__(self, descriptor, count):
        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                (length,) = struct.unpack("<Q", receive(self.request, 8))
                if not 1 <= length <= MOST_BYTES or receive(self.request, length)[0] != METADATA:
                    return
                host, port = self.request.getsockname()
                # Not TCP's way to a peer that is not there either.
                own = {**descriptor, "name": f"{host}:{port}", "tcp_data_host": host}
                body = bytes([METADATA]) + json.dumps(own).encode()
                self.request.sendall(struct.pack("<Q", len(body)) + body)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            request_queue_size = 128

        self.server = Server(("0.0.0.0", 0), Handler)
        port = self.server.server_address[1]
        self.names = [f"127.1.{index // 250}.{index % 250 + 1}:{port}" for index in range(count)]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
