"""LMCache's transfer channel between two caches: asynchronous reads of many objects, of which "finished" means all."""

import ctypes
import socket
import time

from lmcache.v1.distributed.internal_api import L1MemoryDesc
from lmcache.v1.distributed.transfer_channel.impl.mooncake_te_impl import MooncakeTeTransferChannelContext

COUNT, SIZE = 200, 32 << 10


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Side:
    def __init__(self, host, fill):
        self.memory = ctypes.create_string_buffer(COUNT * SIZE)
        if fill:
            ctypes.memmove(self.memory, b"".join(bytes([index % 251 + 1]) * SIZE for index in range(COUNT)), COUNT * SIZE)
        self.url = f"{host}:{free_port()}"
        description = L1MemoryDesc(ptr=ctypes.addressof(self.memory), size=COUNT * SIZE, align_bytes=4096)
        self.context = MooncakeTeTransferChannelContext(description, self.url, self.url)


class Target(Side):
    def __init__(self, host):
        super().__init__(host, fill=True)

    def describe(self):
        return {"url": self.url}

    def check(self):
        return True


def initiate(host, target):
    mine = Side(host, fill=False)
    client = mine.context.get_transfer_channel_client(target["url"])
    places = mine.context.get_transfer_channel_address([(index * SIZE, SIZE) for index in range(COUNT)])
    for _ in range(5):
        ctypes.memset(mine.memory, 0, COUNT * SIZE)
        task = client.submit_read(places, places)
        deadline = time.monotonic() + 60
        while not (result := client.query_read_status(task)).is_finished():
            assert time.monotonic() < deadline, "the read does not end"
        assert result.succeeded_mask == [True] * COUNT
        expected = b"".join(bytes([index % 251 + 1]) * SIZE for index in range(COUNT))
        # At once: what is not there yet when the read is said to be finished would never be noticed later.
        assert mine.memory.raw == expected, "a finished read whose bytes are not there"
