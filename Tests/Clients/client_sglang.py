"""SGLang's shared wrapper, as its prefill and decode workers use it: one session, many buffers, batches, a probe."""

import ctypes

from sglang.srt.distributed.device_communicators.mooncake_transfer_engine import MooncakeTransferEngine

COUNT, SIZE = 64, 4096


class Target:
    def __init__(self, host):
        self.engine = MooncakeTransferEngine(host)
        self.memory = ctypes.create_string_buffer(COUNT * SIZE)
        self.base = ctypes.addressof(self.memory)
        addresses = [self.base + index * SIZE for index in range(COUNT)]
        assert self.engine.batch_register(addresses, [SIZE] * COUNT) == 0

    def describe(self):
        return {"session": self.engine.get_session_id(), "base": self.base}

    def check(self):
        expected = b"".join(bytes([index + 1]) * SIZE for index in range(COUNT - 1)) + b"\xee" * 64
        return self.memory.raw[: len(expected)] == expected


def initiate(host, target):
    engine = MooncakeTransferEngine(host)
    memory = ctypes.create_string_buffer(b"".join(bytes([index + 1]) * SIZE for index in range(COUNT)), COUNT * SIZE)
    base = ctypes.addressof(memory)
    engine.register(base, COUNT * SIZE)
    assert engine.send_probe(target["session"]) == 0
    offsets = [index * SIZE for index in range(COUNT - 1)]
    sources = [base + offset for offset in offsets]
    destinations = [target["base"] + offset for offset in offsets]
    assert engine.batch_transfer_sync(target["session"], sources, destinations, [SIZE] * len(offsets)) == 0
    # The small write that tells of the big ones: it has to be placed when the call returns.
    mark = ctypes.create_string_buffer(b"\xee" * 64, 64)
    engine.register(ctypes.addressof(mark), 64)
    last = target["base"] + (COUNT - 1) * SIZE
    assert engine.transfer_sync(target["session"], ctypes.addressof(mark), last, 64) == 0
    # Roles are switched: everything is withdrawn and registered once more.
    assert engine.batch_deregister([base, ctypes.addressof(mark)]) == 0
    assert engine.batch_register([base], [COUNT * SIZE]) == 0
    assert engine.batch_transfer_sync(target["session"], sources, destinations, [SIZE] * len(offsets)) == 0
    # A session that is gone: a negative number, and a probe that says so.
    assert engine.transfer_sync("127.0.0.1:9", base, target["base"], 8) < 0
    assert engine.send_probe("127.0.0.1:9") != 0
