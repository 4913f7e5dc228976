"""Arguments that no sane program gives: an answer or an exception, never the end of the process."""

import random

import pytest

from support import run

EDGES = """
import random, resource, sys
# What runs away ends here, and not with the machine out of memory.
resource.setrlimit(resource.RLIMIT_DATA, (8 << 30, 8 << 30))
import mooncake.engine as module
from mooncake.engine import TransferEngine, TransferNotify, TransferOpcode
from support import Memory, name_of, started

random.seed(int(sys.argv[2]))
a, b = started(sys.argv[1]), started(sys.argv[1])
near, far = Memory(1 << 20), Memory(1 << 20)
assert a.register_memory(near.address, 1 << 20) == 0 and b.register_memory(far.address, 1 << 20) == 0
peer, own = name_of(b), name_of(a)

NUMBERS = [0, 1, 7, 2**31, 2**32, 2**47, 2**56, 2**56 + 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64 - 8, 2**64, -1,
           near.address, near.address + (1 << 20) - 1, near.address + (1 << 20), far.address, far.address - 1]
THINGS = [None, 1.5, "text", b"bytes", "", [], (), [None], {}, object(), True, "\\ud800", "a\\0b", TransferNotify(),
          TransferOpcode.Read, float("nan"), [[1]], a, type]
NAMES = [peer, peer, peer, own, "", "/", ":", "127.0.0.1:0", "127.0.0.1:99999", "[::1", "\\0"]

def thing():
    kind = random.random()
    if kind < 0.6: return random.choice(NUMBERS)
    if kind < 0.7: return [random.choice(NUMBERS) for _ in range(random.randrange(4))]
    return random.choice(THINGS)

def numbers(count):
    return [random.choice(NUMBERS) for _ in range(count)]

# What may write to any address it is given is left to the tests that say where.
UNSAFE = {"initialize", "initialize_ext", "write_bytes_to_buffer"}
methods = [name for name in dir(a) if not name.startswith("_") and name not in UNSAFE and name != "TransferOpcode"]
for _ in range(1500):
    name = random.choice(methods)
    arguments = [thing() for _ in range(random.randrange(7))]
    if "transfer" in name and random.random() < 0.8:
        count = random.randrange(1, 4)
        arguments[0:1] = [random.choice(NAMES)]
        arguments[1:4] = [numbers(count) for _ in range(3)] if "batch" in name else numbers(3)
    elif "register" in name and random.random() < 0.5:
        arguments = [numbers(2), numbers(2)][: 1 if "un" in name else 2] if "batch" in name else numbers(2)
    try:
        code = getattr(a, name)(*arguments)
    except (TypeError, ValueError, OverflowError, MemoryError, UnicodeError, NotImplementedError, IndexError):
        continue
    if name.startswith("batch_transfer_async") or name == "transfer_submit_write":
        while code and a.transfer_check_status(code) == 0: pass
near, far = Memory(4096), Memory(4096)
assert a.register_memory(near.address, 4096) == 0 and b.register_memory(far.address, 4096) == 0
assert a.transfer_sync_write(peer, near.address, far.address, 64) == 0
print("alive")
"""


@pytest.mark.parametrize("protocol", ["tcp", "efa"])
def test_any_argument(protocol, fake_efa):
    seed = random.randrange(1 << 30)
    environment = {**(fake_efa if protocol == "efa" else {}), "MC_LOG_LEVEL": "ERROR", "MC_TRANSFER_TIMEOUT": "5"}
    done = run(EDGES, protocol, seed, environment=environment, timeout=120)
    assert done.stdout == "alive\n", f"seed {seed}, ended with {done.returncode}: {done.stderr[-2000:]}"
