"""vLLM's wrapper of the encoder cache connector: transient sources that several threads share, one synchronous batch."""

from concurrent.futures import ThreadPoolExecutor

import torch
from vllm.distributed.ec_transfer.ec_connector.mooncake.transfer import MooncakeTransfer, ensure_mooncake_available

THREADS, SIZE = 8, 1 << 16


class Target:
    def __init__(self, host):
        ensure_mooncake_available()
        self.transfer = MooncakeTransfer(host, "tcp")
        self.memory = torch.zeros(THREADS * SIZE, dtype=torch.uint8)
        assert self.transfer.register_memory(self.memory) == 0

    def describe(self):
        return {"session": self.transfer.local_session(), "base": self.memory.data_ptr()}

    def check(self):
        expected = torch.arange(1, THREADS + 1, dtype=torch.uint8).repeat_interleave(SIZE)
        good = bool(torch.equal(self.memory, expected)) and self.transfer.unregister_memory(self.memory)
        self.transfer.close()
        return good


def initiate(host, target):
    transfer = MooncakeTransfer(host, "tcp")
    # Sibling views of one storage, side by side.
    memory = torch.arange(1, THREADS + 1, dtype=torch.uint8).repeat_interleave(SIZE)
    views = [memory[index * SIZE : (index + 1) * SIZE] for index in range(THREADS)]

    def send(index):
        sources = transfer.acquire_sources([views[index]])
        transfer.write(target["session"], sources, [target["base"] + index * SIZE], [SIZE])
        assert transfer.release_sources(sources)

    with ThreadPoolExecutor(THREADS) as pool:
        for _ in range(10):
            list(pool.map(send, range(THREADS)))
    transfer.close()
