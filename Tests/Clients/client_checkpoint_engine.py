"""checkpoint-engine's store: named tensors that other ranks read, with its device manager's answers for a host without
a GPU."""

import os
from types import SimpleNamespace

import torch

os.environ.setdefault("RANK", "0")

from checkpoint_engine import p2p_store  # noqa: E402

SIZES = {"embedding": 1 << 20, "norm": 4096, "scale": 8}


def store(host):
    manager = SimpleNamespace(
        device_module=SimpleNamespace(device_count=lambda: 1),
        rdma_device=lambda rank: "",
        transfer_engine_protocol="tcp",
    )
    p2p_store.get_ip = lambda: host
    return p2p_store.P2PStore(manager)


class Target:
    def __init__(self, host):
        self.store = store(host)
        self.tensors = {name: torch.full((size,), 7, dtype=torch.uint8) for name, size in SIZES.items()}
        self.store.register_named_tensors(self.tensors)

    def describe(self):
        return {"session": self.store.addr, "addresses": {name: t.data_ptr() for name, t in self.tensors.items()}}

    def check(self):
        return self.store.unregister_named_tensors(list(SIZES)) == len(SIZES)


def initiate(host, target):
    mine = store(host)
    tensors = {name: torch.zeros(size, dtype=torch.uint8) for name, size in SIZES.items()}
    mine.register_named_tensors(tensors)
    mine.batch_transfer_sync_read(
        target["session"],
        [tensor.data_ptr() for tensor in tensors.values()],
        [target["addresses"][name] for name in tensors],
        [tensor.nbytes for tensor in tensors.values()],
    )
    assert all(bool((tensor == 7).all()) for tensor in tensors.values())
    assert mine.unregister_named_tensors(list(SIZES)) == len(SIZES)
